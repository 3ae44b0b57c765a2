"""The dashboard of any objectives: ours, with the burn rates, the period and the words of the page.

`board.json` is the page of the objectives in dashboards/generated, copied by `make dashboards`, so that a
wheel needs no SDK of Grafana. What differs from page to page is written here, for both.
"""

from __future__ import annotations

import copy
import json
import re
from importlib.resources import files
from typing import Any

from dashcam.slo.objectives import BurnRate, Objectives

Json = dict[str, Any]
UID = "dashcam-slo"
"""What alerts name in `dashboard_url`."""

CHOSEN = '{slo=~"$slo"}'
TICKET, PAGE = "orange", "red"
HOW, SPEED = "How to read this page", "Burn rate over "


def board(objectives: Objectives, title: str = "Objectives", uid: str = UID) -> Json:
    """The dashboard as Grafana imports it."""
    page: Json = json.loads(files("dashcam.slo").joinpath("board.json").read_text(encoding="utf-8"))
    own_period = page["time"]["from"].removeprefix("now-")
    page |= {"title": title, "uid": uid, "links": [], "tags": ["slo"]}
    page["time"] = {"from": f"now-{objectives.period}", "to": "now"}
    page["panels"] = _in_place([_with(panel, objectives, own_period) for panel in page["panels"]], objectives)
    return page


def speed_query(rate: BurnRate) -> str:
    """The lower of the two windows: above the factor both are, and the alert fires."""
    long, short = (f"slo:failures:ratio{window}{CHOSEN}" for window in (rate.long, rate.short))
    return f"({long} <= {short} or {short}) / (1 - slo:objective:ratio{CHOSEN})"


def speed_title(rate: BurnRate) -> str:
    """The title of a burn rate's graph."""
    return f"{SPEED}{rate.long} and {rate.short}"


def speed_about(rate: BurnRate, severity: str) -> str:
    """What to conclude from it."""
    return f"The lower of the two. Above {rate.factor:g}, the line: a {severity}, given enough failures."


def speed_steps(rate: BurnRate, severity: str) -> tuple[tuple[float | None, str], ...]:
    """From which value on which colour."""
    return (None, "green"), (rate.factor, PAGE if severity == "page" else TICKET)


def how(objectives: Objectives) -> str:
    """How to read the page."""
    pages, tickets = (
        ", ".join(f"{rate.factor:g} times over {rate.long}" for rate in objectives.burn_rates[severity])
        for severity in ("page", "ticket")
    )
    return (
        f"**Burn rate 1 spends the budget exactly in {objectives.period}.** A page is sent at {pages}; a "
        f"ticket at {tickets}; both only while the shorter window agrees and with at least "
        f"{objectives.min_failures} failures. Budget left and burn rate low: change what you like. Budget "
        "empty: only repairs, until it recovers. A burn rate that jumps at a release is that release. The "
        "period is counted over what Prometheus still holds: on a laptop that is since it was started. An "
        "objective without traffic has no line, which is not the same as being well."
    )


def _with(panel: Json, objectives: Objectives, own_period: str) -> Json:
    text = json.dumps(panel)
    recorded = rf"(slo:(?:failures|events):(?:ratio|increase)){own_period}\b"
    changed: Json = json.loads(re.sub(recorded, rf"\g<1>{objectives.period}", text))
    changed["title"] = changed["title"].replace(f"of {own_period},", f"of {objectives.period},")
    if changed["title"] == HOW:
        changed["options"]["content"] = how(objectives)
    for override in changed.get("fieldConfig", {}).get("overrides", ()):
        # Links to pages of Dashcam's own.
        override["properties"] = [prop for prop in override["properties"] if prop["id"] != "links"]
    return changed


def _in_place(panels: list[Json], objectives: Objectives) -> list[Json]:
    """The panels with one for each burn rate of the page, two in a row, and what follows below them."""
    rates = [(rate, severity) for severity, group in objectives.burn_rates.items() for rate in group]
    model = next(panel for panel in panels if _is_speed(panel))
    others = [panel for panel in panels if not _is_speed(panel)]
    top, width, height = model["gridPos"]["y"], model["gridPos"]["w"], model["gridPos"]["h"]
    had = sum(map(_is_speed, panels))
    further = (_rows(len(rates)) - _rows(had)) * height
    speeds = [
        _speed(
            model, rate, severity, {"x": n % 2 * width, "y": top + n // 2 * height, "w": width, "h": height}
        )
        for n, (rate, severity) in enumerate(rates)
    ]
    for panel in others:
        if panel["gridPos"]["y"] > top:
            panel["gridPos"]["y"] += further
    ordered = sorted([*others, *speeds], key=lambda panel: (panel["gridPos"]["y"], panel["gridPos"]["x"]))
    return [panel | {"id": number} for number, panel in enumerate(ordered, start=1)]


def _is_speed(panel: Json) -> bool:
    return bool(panel["title"].startswith(SPEED) and " and " in panel["title"])


def _rows(number: int) -> int:
    return (number + 1) // 2


def _speed(model: Json, rate: BurnRate, severity: str, grid: Json) -> Json:
    panel = copy.deepcopy(model) | {"gridPos": grid}
    panel |= {"title": speed_title(rate), "description": speed_about(rate, severity)}
    scoped = panel["targets"][0]["expr"]
    windows = re.search(r"ratio(\w+)\{.*? <= slo:failures:ratio(\w+)\{", scoped)
    assert windows, "board.json is not what `make dashboards` writes"
    new = {windows[1]: rate.long, windows[2]: rate.short}
    panel["targets"][0]["expr"] = re.sub(
        r"(?<=:ratio)(\w+)(?=\{)", lambda found: new.get(found[1], found[1]), scoped
    )
    steps = [{"value": value, "color": colour} for value, colour in speed_steps(rate, severity)]
    panel["fieldConfig"]["defaults"]["thresholds"]["steps"] = steps
    return panel
