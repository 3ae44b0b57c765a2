"""How a panel says that a value is shown: unit, decimals, words, colours. Grafana's fieldConfig, read."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from dashboards.preview.units import shown

NO_DATA = "no data"
COLOURS = 8
Panel = Mapping[str, Any]


def unit(panel: Panel) -> str:
    """The unit of the panel's values."""
    return str(defaults(panel).get("unit", "none"))


def defaults(panel: Panel) -> Mapping[str, Any]:
    """What is set for all values of a panel."""
    found: Mapping[str, Any] = panel["fieldConfig"]["defaults"]
    return found


def column(panel: Panel, name: str) -> Mapping[str, Any]:
    """What is set for the column or series of that name, over the panel's own."""
    merged = dict(defaults(panel))
    for override in panel["fieldConfig"]["overrides"]:
        if _matches(override["matcher"], name):
            merged |= {prop["id"]: prop["value"] for prop in override["properties"]}
    return merged


def text(settings: Mapping[str, Any], value: float) -> str:
    """The value in words: what is said instead of it, or else itself with its unit."""
    return _result(settings, value).get("text") or shown(
        value, str(settings.get("unit", "none")), settings.get("decimals")
    )


def colour(settings: Mapping[str, Any], value: float) -> str:
    """The class of the value's colour: what is said for it, or else of the step that it has reached."""
    if said := _result(settings, value).get("color"):
        return css(str(said))
    steps = settings.get("thresholds", {}).get("steps", [])
    reached = [step["color"] for step in steps if step.get("value") is None or value >= step["value"]]
    return css(reached[-1]) if reached else "is-text"


def series_class(panel: Panel, name: str, number: int) -> tuple[str, str]:
    """The class of the series' colour and a style: by its meaning where it has one, else by its number."""
    settings = column(panel, name)
    fixed = settings.get("color", {}).get("fixedColor")
    dashed = " dashed" if settings.get("custom.lineStyle") else ""
    if not fixed:
        return f"c{number % COLOURS}{dashed}", ""
    if fixed.startswith("#"):
        return f"own{dashed}", f"--own: {fixed}"
    return css(fixed) + dashed, ""


def limits(panel: Panel) -> list[tuple[float, str]]:
    """The lines that a graph has at its thresholds: value and class."""
    style = defaults(panel).get("custom", {}).get("thresholdsStyle", {}).get("mode")
    steps = defaults(panel).get("thresholds", {}).get("steps", []) if style == "line" else []
    return [(step["value"], css(step["color"])) for step in steps if step.get("value") is not None]


def href(link: str, labels: Mapping[str, str], console: str) -> str:
    """Where a link of a table leads without Grafana: another page here, or a runbook in the console."""
    path = re.sub(r"\$\{__data\.fields\.(\w+)\}", lambda found: quote(labels.get(found[1], "")), link)
    uid = path.removeprefix("/d/").partition("?")[0]
    return f"{uid}.html" if uid.startswith("dashcam-") else f"{console}/runbooks/{uid}"


def css(name: str) -> str:
    """The class of a colour by Grafana's name for it."""
    return "is-nothing" if name.startswith("#") else f"is-{name.removeprefix('dark-')}"


def _result(settings: Mapping[str, Any], value: float) -> Mapping[str, Any]:
    for mapping in settings.get("mappings", ()):
        options = mapping["options"]
        if mapping["type"] == "special" and math.isnan(value):
            return options["result"]  # type: ignore[no-any-return]  # JSON
        if mapping["type"] == "value" and f"{value:g}" in options:
            return options[f"{value:g}"]  # type: ignore[no-any-return]  # JSON
    return {}


def _matches(matcher: Mapping[str, Any], name: str) -> bool:
    if matcher["id"] == "byRegexp":
        return bool(re.search(str(matcher["options"]).strip("/"), name))
    return bool(matcher["options"] == name)
