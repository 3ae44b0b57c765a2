"""Grafana's provisioned data sources: fixed uids, and a way from each signal to the others."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ruleset import GENERATED

from observability import schema

PAGE = yaml.safe_load((GENERATED / "grafana/provisioning/datasources/dashcam.yaml").read_text())
SOURCES: dict[str, dict[str, Any]] = {source["uid"]: source for source in PAGE["datasources"]}
LOG_FIELDS = {field.name for field in schema.LOG_FIELDS}


def test_the_four_data_sources_have_fixed_uids_and_prometheus_is_the_default() -> None:
    assert set(SOURCES) == {"prometheus", "jaeger", "elasticsearch", "alertmanager"}
    assert [uid for uid, source in SOURCES.items() if source.get("isDefault")] == ["prometheus"]


def test_an_exemplar_opens_its_trace() -> None:
    (destination,) = SOURCES["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert destination["datasourceUid"] == "jaeger"
    assert destination["name"] == "trace_id", "the label of our exemplars"


def test_a_trace_opens_its_log_lines_by_the_declared_field() -> None:
    to_logs = SOURCES["jaeger"]["jsonData"]["tracesToLogsV2"]
    field, _, value = to_logs["query"].partition(":")
    assert field in LOG_FIELDS
    assert "." not in field, "Grafana's links from dotted fields break"
    assert value == '"$${__trace.traceId}"', "a single $ would be read from the environment"
    assert to_logs["datasourceUid"] == "elasticsearch"
    assert to_logs["spanStartTimeShift"].startswith("-"), "the window is wider than the span"


def test_a_trace_opens_the_metrics_of_its_service() -> None:
    to_metrics = SOURCES["jaeger"]["jsonData"]["tracesToMetrics"]
    assert to_metrics["datasourceUid"] == "prometheus"
    assert to_metrics["tags"] == [{"key": "service.name", "value": "job"}]
    assert all("$$__tags" in query["query"] for query in to_metrics["queries"])


def test_a_log_line_opens_its_trace() -> None:
    (link,) = SOURCES["elasticsearch"]["jsonData"]["dataLinks"]
    assert link["field"] in LOG_FIELDS
    assert (link["url"], link["datasourceUid"]) == ("$${__value.raw}", "jaeger")
    (correlation,) = SOURCES["elasticsearch"]["correlations"]
    assert correlation["targetUID"] == "jaeger"
    assert correlation["config"]["field"] == link["field"]


@pytest.mark.parametrize("field", ["logMessageField", "logLevelField"])
def test_the_log_panel_reads_declared_fields(field: str) -> None:
    assert SOURCES["elasticsearch"]["jsonData"][field] in LOG_FIELDS
