"""The generated dashboards as data, for the tests about what a person sees on them."""

from __future__ import annotations

import json
from typing import Any

from ruleset import GENERATED

from dashboards.src.current import every_panel

Board = dict[str, Any]
Panel = dict[str, Any]

FILES = sorted((GENERATED / "grafana" / "dashboards").glob("*.json"))
BOARDS: dict[str, Board] = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FILES}


def panels(board: Board, *kinds: str) -> list[Panel]:
    """The panels of these kinds; without kinds, all that show data. Those in folded rows too."""
    wanted = kinds or tuple({panel["type"] for panel in every_panel(board)} - {"row", "text"})
    return [panel for panel in every_panel(board) if panel["type"] in wanted]


def the_panel(board: str, title: str) -> Panel:
    """The one panel of that title on the dashboard `dashcam-{board}`."""
    (found,) = (each for each in panels(BOARDS[f"dashcam-{board}"]) if each["title"] == title)
    return found


def queries(panel: Panel) -> list[str]:
    """What it asks Prometheus."""
    return [target["expr"] for target in panel.get("targets", ()) if "expr" in target]


def marks(panel: Panel) -> list[tuple[float | None, str]]:
    """From which value on which colour."""
    steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
    return [(step["value"], step["color"]) for step in steps]


def overrides(panel: Panel) -> dict[str, dict[str, Any]]:
    """What columns or series are set to, by their name or pattern."""
    return {
        override["matcher"]["options"]: {prop["id"]: prop["value"] for prop in override["properties"]}
        for override in panel["fieldConfig"]["overrides"]
    }
