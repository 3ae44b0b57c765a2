"""A dashboard's JSON as the Grafana that we pin writes it.

The SDK also writes fields that its schema had and Grafana 13 no longer has; what they said is said elsewhere,
or was never ours to say. `tests/integration/test_grafana_schema.py` asks Grafana's own schema.
"""

from __future__ import annotations

from typing import Any


def without_former_fields(board: dict[str, Any]) -> dict[str, Any]:
    """The same dashboard, changed in place."""
    board.pop("style", None)
    for variable in board["templating"]["list"]:
        for former in ("auto", "auto_count", "auto_min", "id"):  # the first three of intervals
            variable.pop(former, None)
    for panel in board["panels"]:
        options = panel.get("options", {})
        if panel["type"] == "table":
            options.pop("footer", None)
        elif panel["type"] == "heatmap":
            shown = options["tooltip"].pop("show")
            options["tooltip"]["mode"] = "single" if shown else "none"
    return board
