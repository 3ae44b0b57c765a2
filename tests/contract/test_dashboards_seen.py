"""What a person sees on a dashboard and no schema or query says: colours, digits, no data, names of series.

Each was seen wrong in a real Grafana once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from boards import BOARDS, Panel, marks, overrides, panels, queries, the_panel

from dashboards.src import colours, promql
from dashboards.src.slos import load
from dashcam.slo.durations import milliseconds

boards = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())


# -- no data ---------------------------------------------------------------------------------------


@boards
def test_no_data_has_its_own_words_and_the_colour_of_nothing_else(board: dict[str, Any]) -> None:
    for panel in panels(board, "stat", "bargauge", "table"):
        if not queries(panel):
            continue  # traces, of which there is no number
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["noValue"] == "no data", panel["title"]
        nothing = [
            each["options"]["result"]
            for each in defaults["mappings"]
            if each["type"] == "special" and each["options"]["match"] == "null+nan"
        ]
        assert [result["text"] for result in nothing] == ["no data"], panel["title"]
        assert nothing[0]["color"] not in {colour for _, colour in marks(panel)} | {"green", "red"}


@boards
def test_a_number_is_of_now_and_not_the_last_one_that_ever_came(board: dict[str, Any]) -> None:
    for panel in panels(board, "stat", "bargauge"):
        for target in panel["targets"]:
            if "expr" in target:
                assert (target["instant"], target["range"]) == (True, False), panel["title"]


@boards
def test_a_zero_rests_on_something_that_is_there(board: dict[str, Any]) -> None:
    """`or vector(0)` is 0 also where nobody looks."""
    assert [query for panel in panels(board) for query in queries(panel) if "vector(" in query] == []


def test_no_pages_firing_rests_on_watchdog() -> None:
    for title in ("Pages firing", "Tickets firing"):
        (query,) = queries(the_panel("overview", title))
        assert 'or 0 * count(ALERTS{alertname="Watchdog"' in query


# -- objectives ------------------------------------------------------------------------------------


def test_a_broken_objective_is_red_and_shown_as_what_it_is() -> None:
    shown = [
        panel
        for board in BOARDS.values()
        for panel in panels(board)
        if any("slo:budget_left:ratio" in query for query in queries(panel))
    ]
    assert len(shown) >= 4
    for panel in shown:
        assert not any("clamp" in query for query in queries(panel)), panel["title"]
        if panel["type"] == "timeseries":
            assert "min" not in panel["fieldConfig"]["defaults"], f"{panel['title']} ends at zero"
        steps = marks(panel) if panel["type"] != "table" else _table_steps(panel, "Budget left")
        below_zero = [colour for value, colour in steps if value is None or value < 0]
        assert below_zero == ["red"], panel["title"]


def _table_steps(panel: Panel, column: str) -> list[tuple[float | None, str]]:
    return [(step["value"], step["color"]) for step in overrides(panel)[column]["thresholds"]["steps"]]


def test_what_is_kept_has_more_digits_than_what_is_promised() -> None:
    columns = overrides(the_panel("slo", "Objectives"))
    assert columns["Kept"]["decimals"] > columns["Promised"]["decimals"] >= 1
    assert columns["Budget left"]["decimals"] == 1


def test_a_number_says_how_many_digits_it_has() -> None:
    """Else Grafana shows 0.9 % beside 0.871 %, as the value happens to be."""
    shown = [panel for board in BOARDS.values() for panel in panels(board, "stat", "bargauge")]
    assert [panel["title"] for panel in shown if "decimals" not in panel["fieldConfig"]["defaults"]] == []
    shares = {panel["title"]: panel["fieldConfig"]["defaults"] for panel in shown}
    assert shares["Failing requests"]["decimals"] == shares["Quotes lost"]["decimals"] == 2


@pytest.mark.parametrize("severity", ["page", "ticket"])
def test_each_burn_rate_has_a_graph_with_its_own_limit(severity: str) -> None:
    colour = {"page": "red", "ticket": "orange"}[severity]
    for rate in load().burn_rates[severity]:
        panel = the_panel("slo", f"Burn rate over {rate.long} and {rate.short}")
        assert marks(panel)[1:] == [(rate.factor, colour)]


def test_the_page_of_the_objectives_opens_on_their_period() -> None:
    assert BOARDS["dashcam-slo"]["time"]["from"] == f"now-{load().period}"


def test_durations_show_what_was_promised_of_them() -> None:
    for board, title in (("service", "Duration"), ("car", "Duration of a quote")):
        panel = the_panel(board, title)
        assert any(query.startswith("slo:threshold:seconds") for query in queries(panel))
        (line,) = (value for name, value in overrides(panel).items() if "objective" in name)
        assert line["custom.lineStyle"]["fill"] == "dash"


# -- graphs ----------------------------------------------------------------------------------------


def test_a_heatmap_counts_requests_once_and_shows_nothing_above_the_cells() -> None:
    for board in BOARDS.values():
        for panel in panels(board, "heatmap"):
            (target,) = panel["targets"]
            assert panel["fieldConfig"]["defaults"]["unit"] == "none", "the field's unit is the cells'"
            assert panel["options"]["yAxis"]["unit"] == "s"
            assert "[$__interval]" in target["expr"]
            assert milliseconds(target["interval"]) >= milliseconds("1m"), "four scrapes"
            assert not target.get("exemplar"), "exemplars would cover the cells"


@boards
def test_every_branch_of_a_query_has_the_labels_that_its_legend_names(board: dict[str, Any]) -> None:
    """Else Grafana names the series `{job="car"}`."""
    for panel in panels(board, "timeseries", "bargauge", "heatmap"):
        for target in panel["targets"]:
            wanted = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            for branch in _branches(target["expr"]):
                by = re.search(r"\bby \(([^()]*)\)", branch)
                named = set(re.findall(r'\), "(\w+)", "', branch))  # by label_replace
                if by and "or" in target["expr"]:
                    kept = {each.strip() for each in by[1].split(",")}
                    assert wanted <= kept | named, f"{panel['title']}: {branch}"


def _branches(expression: str) -> Iterator[str]:
    """The parts of an expression between `or`s that stand outside of all parentheses."""
    depth, begin = 0, 0
    for found in re.finditer(r"[(){}]|\bor\b", expression):
        if found.group() == "or":
            if depth == 0:
                yield expression[begin : found.start()].strip()
                begin = found.end()
        else:
            depth += 1 if found.group() in "({" else -1
    yield expression[begin:].strip()


@boards
def test_a_legend_says_the_last_value_of_each_series(board: dict[str, Any]) -> None:
    for panel in panels(board, "timeseries"):
        legend = panel["options"]["legend"]
        assert "lastNotNull" in legend["calcs"], panel["title"]
        assert legend["displayMode"] == "table", "a list of many series runs over"


@boards
def test_no_legend_names_the_file_of_a_rule(board: dict[str, Any]) -> None:
    assert "{{rule_group}}" not in json.dumps(board)


def _colour(panel: Panel, name: str) -> str | None:
    for pattern, properties in overrides(panel).items():
        if pattern.startswith("/") and re.search(pattern.strip("/"), name) and "color" in properties:
            return str(properties["color"]["fixedColor"])
    return None


def test_a_severity_a_status_and_a_failure_have_the_colour_of_their_meaning_everywhere() -> None:
    wanted = {
        "{{severity}}": {"INFO": "blue", "WARN": "orange", "ERROR": "red", "FATAL": "dark-red"},
        "{{http_response_status_code}}": {"200": "green", "304": "blue", "404": "orange", "503": "red"},
        "{{outcome}}": {"ok": "green", "rejected": "orange", "unavailable": "red"},
        "refused": {"web refused": "red"},
        "failed": {"web failed": "red"},
    }
    seen = set()
    for board in BOARDS.values():
        for panel in panels(board, "timeseries"):
            for target in panel["targets"]:
                for ending, names in wanted.items():
                    if "{{" in target["legendFormat"] and target["legendFormat"].endswith(ending):
                        seen.add(ending)
                        assert {name: _colour(panel, name) for name in names} == names, panel["title"]
    assert seen == set(wanted)


def test_a_service_has_one_colour_on_all_graphs() -> None:
    services = colours.of_services(load().depends_on)
    assert len(set(services.values())) == len(services)
    for board in BOARDS.values():
        for panel in panels(board, "timeseries"):
            if any(target["legendFormat"] == "{{job}}" for target in panel["targets"]):
                assert {name: _colour(panel, name) for name in services} == services, panel["title"]


def test_what_a_laptop_or_a_cluster_has_not_is_folded() -> None:
    """What remains open shows data in both."""
    for panel in BOARDS["dashcam-pipeline"]["panels"]:
        asked = queries(panel)
        assert not any(promql.needs_cluster(query) for query in asked), panel["title"]
        assert not any("dashcam_receiver" in query or "dashcam_store" in query for query in asked)
    folded = [panel for panel in BOARDS["dashcam-pipeline"]["panels"] if panel.get("collapsed")]
    assert len(folded) == 5
    assert all(row["panels"] for row in folded)
