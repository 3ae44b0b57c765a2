"""Kibana's generated saved objects: importable in form, over declared fields, with a way to the trace."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ruleset import GENERATED

from dashboards.src.datasources import LOG_INDEX
from observability import schema

OBJECTS: list[dict[str, Any]] = [
    json.loads(line) for line in (GENERATED / "kibana" / "saved-objects.ndjson").read_text().splitlines()
]
BY_ID = {each["id"]: each for each in OBJECTS}
FIELDS = {field.name for field in schema.LOG_FIELDS}
AGENTS = re.compile(r"@timestamp|kubernetes\.\w+")
"""Fields that Fluent Bit adds."""


def _of(kind: str) -> list[dict[str, Any]]:
    return [each for each in OBJECTS if each["type"] == kind]


def test_there_are_a_data_view_searches_and_a_dashboard() -> None:
    assert [each["type"] for each in OBJECTS] == ["index-pattern", *["search"] * 4, "dashboard"]
    assert len(BY_ID) == len(OBJECTS)


def test_the_data_view_is_over_the_data_streams_that_grafana_reads_too() -> None:
    (view,) = _of("index-pattern")
    assert view["attributes"]["title"] == LOG_INDEX


def test_a_trace_id_opens_its_trace() -> None:
    (view,) = _of("index-pattern")
    link = json.loads(view["attributes"]["fieldFormatMap"])["trace_id"]
    assert link["id"] == "url"
    assert link["params"]["urlTemplate"] == "http://localhost:16686/trace/{{value}}"


@pytest.mark.parametrize("each", OBJECTS, ids=lambda each: each["id"])
def test_every_reference_is_to_an_object_of_the_same_file(each: dict[str, Any]) -> None:
    for reference in each["references"]:
        assert BY_ID[reference["id"]]["type"] == reference["type"]


@pytest.mark.parametrize("search", _of("search"), ids=lambda each: each["id"])
def test_a_search_shows_and_asks_for_declared_fields(search: dict[str, Any]) -> None:
    source = json.loads(search["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    asked = re.findall(r"([\w.@]+)\s*(?::|>=?)", source["query"]["query"])
    assert asked
    names = [*asked, *search["attributes"]["columns"]]
    assert [name for name in names if name not in FIELDS and not AGENTS.fullmatch(name)] == []
    assert source["indexRefName"] in {reference["name"] for reference in search["references"]}


def test_the_dashboard_charts_declared_fields_and_lists_the_errors() -> None:
    (board,) = _of("dashboard")
    panels = json.loads(board["attributes"]["panelsJSON"])
    names = {reference["name"]: reference["id"] for reference in board["references"]}
    for panel in panels:
        if panel["type"] == "search":
            assert names[f"{panel['panelIndex']}:{panel['panelRefName']}"] == "dashcam-errors"
            continue
        lens = panel["embeddableConfig"]["attributes"]
        (layer,) = lens["state"]["datasourceStates"]["formBased"]["layers"].values()
        fields = {column["sourceField"] for column in layer["columns"].values()}
        assert fields - FIELDS <= {"@timestamp", "___records___"}
        assert set(layer["columnOrder"]) == set(layer["columns"])
        assert f"{panel['panelIndex']}:{lens['references'][0]['name']}" in names
    assert {"lens", "search"} == {panel["type"] for panel in panels}
