"""A dashboard's JSON as the Grafana that we pin writes it.

The SDK also writes fields that its schema had and Grafana 13 no longer has; what they said is said elsewhere,
or was never ours to say. `tests/integration/test_grafana_schema.py` asks Grafana's own schema. What the SDK
cannot say is added.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dashboards.src.boards.page import TITLES
from dashboards.src.scope import scoped

Json = dict[str, Any]


def every_panel(board: Json) -> Iterator[Json]:
    """The panels of a dashboard and its headings, those within folded headings too, from top to bottom."""
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels") or ()


def finished(board: Json) -> Json:
    """The same dashboard, changed in place."""
    board.pop("style", None)
    for variable in board["templating"].get("list", ()):
        for former in ("auto", "auto_count", "auto_min", "id"):  # the first three of intervals
            variable.pop(former, None)
    for panel in every_panel(board):
        _without_former_fields(panel)
        for target in panel.get("targets", ()):
            if "expr" in target:
                target["expr"] = scoped(target["expr"])
    for annotation in board["annotations"].get("list", ()):
        if annotation["name"] in TITLES:
            _mark_starts(annotation)
    return board


def _without_former_fields(panel: Json) -> None:
    options = panel.get("options", {})
    if panel["type"] == "table":
        options.pop("footer", None)
    elif panel["type"] == "heatmap":
        shown = options["tooltip"].pop("show")
        options["tooltip"]["mode"] = "single" if shown else "none"


def _mark_starts(annotation: Json) -> None:
    """The value is the time, in milliseconds: one mark there, however long the series goes on."""
    annotation["expr"] = f"{scoped(annotation['expr'])} * 1000"
    annotation["useValueForTime"] = True
    annotation["titleFormat"] = TITLES[annotation["name"]]
