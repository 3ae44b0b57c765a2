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


def test_a_trace_opens_its_log_lines_by_the_declared_field() -> None:
    to_logs = SOURCES["jaeger"]["jsonData"]["tracesToLogsV2"]
    field, _, value = to_logs["query"].partition(":")
    assert field in LOG_FIELDS
    assert "." not in field, "Grafana's links from dotted fields break"
    assert value == '"$${__trace.traceId}"', "a single $ would be read from the environment"
    assert to_logs["datasourceUid"] == "elasticsearch"
    assert to_logs["spanStartTimeShift"].startswith("-"), "the window is wider than the span"


@pytest.mark.parametrize("field", ["logMessageField", "logLevelField"])
def test_the_log_panel_reads_declared_fields(field: str) -> None:
    assert SOURCES["elasticsearch"]["jsonData"][field] in LOG_FIELDS
