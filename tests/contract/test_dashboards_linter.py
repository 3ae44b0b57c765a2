"""A linter for the generated dashboards: what a panel must have, and what a query must not do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from ruleset import GENERATED, assert_promql_parses, recorded

from dashboards.src import promql
from dashboards.src.current import every_panel
from dashboards.src.generate import differences
from dashcam.slo.durations import milliseconds

FILES = sorted((GENERATED / "grafana" / "dashboards").glob("*.json"))
BOARDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FILES}
NEEDED = {"overview", "service", "slo", "car", "orders", "pipeline", "workloads"}

boards = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())


def _panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in every_panel(board) if panel["type"] != "row"]


def _with_data(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in _panels(board) if panel["type"] != "text"]


def _queries(board: dict[str, Any]) -> list[str]:
    return [
        target["expr"] for panel in _panels(board) for target in panel.get("targets", ()) if "expr" in target
    ]


def _as_prometheus_sees_it(query: str) -> str:
    return query.replace("$__rate_interval", "1m").replace("$__interval", "1m").replace("$service", "car")


def test_what_is_generated_is_what_the_sources_give() -> None:
    assert differences() == [], "run: make dashboards"


def test_a_changed_a_missing_and_a_stray_file_are_each_named(tmp_path: Path) -> None:
    folder = Path(copytree(GENERATED, tmp_path / "generated"))
    (folder / "alertmanager.yml").write_text("edited: by hand\n")
    (folder / "rules" / "slo.yml").unlink()
    (folder / "rules" / "old.yml").write_text("groups: []\n")
    assert differences(folder) == ["alertmanager.yml", "rules/old.yml", "rules/slo.yml"]


def test_every_dashboard_that_was_promised_is_there_under_its_fixed_uid() -> None:
    assert {board["uid"].removeprefix("dashcam-") for board in BOARDS.values()} == NEEDED
    assert all(board["uid"] == name for name, board in BOARDS.items()), "the file is named like the uid"


@boards
def test_every_panel_says_what_it_shows_and_what_to_conclude(board: dict[str, Any]) -> None:
    titles = [panel["title"] for panel in _panels(board)]
    assert all(titles)
    assert len(set(titles)) == len(titles), "two panels of one name cannot be told apart"
    for panel in _with_data(board):
        assert panel["description"].endswith("."), f"{panel['title']}: the description is a sentence"
        assert len(panel["description"]) > 15, panel["title"]


@boards
def test_every_panel_has_a_unit(board: dict[str, Any]) -> None:
    without = [
        panel["title"] for panel in _with_data(board) if not panel["fieldConfig"]["defaults"].get("unit")
    ]
    assert not without


@boards
def test_every_panel_and_query_goes_through_a_data_source_variable(board: dict[str, Any]) -> None:
    variables = {f"${{{variable['name']}}}" for variable in board["templating"]["list"]}
    assert "${metrics}" in variables
    for panel in _with_data(board):
        assert panel["datasource"]["uid"] in variables, panel["title"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] in variables, panel["title"]


@boards
def test_no_query_names_an_instance_or_an_address(board: dict[str, Any]) -> None:
    fixed = re.compile(
        r'\b(instance|pod|server_address|server_port)\s*=~?\s*"[^"$]*"|\d+\.\d+\.\d+\.\d+|localhost'
    )
    assert [query for query in _queries(board) if fixed.search(query)] == []


@boards
def test_no_query_reads_more_than_a_day_of_raw_series(board: dict[str, Any]) -> None:
    ranges = re.compile(r"\[(\d+\w+)(?::\w*)?\]")
    day = milliseconds("24h")
    for query in _queries(board):
        assert all(milliseconds(window) <= day for window in ranges.findall(query)), query


@boards
def test_rates_follow_the_scrape_interval(board: dict[str, Any]) -> None:
    """A fixed window below four scrapes would be empty; `$__rate_interval` never is."""
    for query in _queries(board):
        assert not re.search(r"\brate\([^()]*\[(?!\$__rate_interval)", query), query


@boards
def test_queries_are_promql_over_declared_metrics(board: dict[str, Any], tmp_path: Path) -> None:
    queries = [_as_prometheus_sees_it(query) for query in _queries(board)]
    assert queries
    assert_promql_parses(queries, tmp_path)
    assert {query: names for query in queries if (names := promql.undeclared(query, recorded()))} == {}


@boards
def test_marks_are_promql_over_declared_metrics(board: dict[str, Any], tmp_path: Path) -> None:
    queries = [mark["expr"] for mark in board["annotations"]["list"] if "expr" in mark]
    assert queries
    assert_promql_parses(queries, tmp_path)
    assert {query: names for query in queries if (names := promql.undeclared(query, recorded()))} == {}


@boards
def test_every_series_of_a_graph_has_a_name(board: dict[str, Any]) -> None:
    for panel in _with_data(board):
        for target in panel["targets"]:
            if "expr" in target:
                assert target["legendFormat"], f"{panel['title']}: {target['expr']}"


@boards
def test_a_dashboard_says_how_to_read_it_and_leads_to_the_others(board: dict[str, Any]) -> None:
    first = board["panels"][0]
    assert first["type"] == "text"
    assert len(first["options"]["content"]) > 200
    assert [link["tags"] for link in board["links"]] == [["dashcam"]]
    assert "dashcam" in board["tags"]


@boards
def test_panels_lie_on_the_grid_without_overlap(board: dict[str, Any]) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in every_panel(board):
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24, panel["title"]
        for x in range(grid["x"], grid["x"] + grid["w"]):
            for y in range(grid["y"], grid["y"] + grid["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


@boards
def test_panel_ids_are_unique(board: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in every_panel(board)]
    assert sorted(ids) == sorted(set(ids))


def test_durations_show_exemplars_that_open_a_trace() -> None:
    service = BOARDS["dashcam-service"]
    shown = {
        panel["title"]
        for panel in _with_data(service)
        if any(target.get("exemplar") and "_bucket" in target["expr"] for target in panel["targets"])
    }
    assert shown == {"Duration"}, "on a heatmap they would cover the cells"


def test_the_overview_leads_to_each_service() -> None:
    links = json.dumps(BOARDS["dashcam-overview"])
    assert "/d/dashcam-service?var-service=${__data.fields.job}" in links
