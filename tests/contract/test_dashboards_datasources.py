"""Grafana's provisioned data sources: fixed uids, and a way from each signal to the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from backendkit import TRACE, Request, add_span
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from ruleset import run, write
from tracelinks import data_sources, metrics_queries

from dashcam.store.jaeger_model import trace_json
from observability import schema

SOURCES = data_sources()
LOG_FIELDS = {field.name for field in schema.LOG_FIELDS}


def test_the_four_data_sources_have_fixed_uids_and_prometheus_is_the_default() -> None:
    assert set(SOURCES) == {"prometheus", "jaeger", "elasticsearch", "alertmanager"}
    assert [uid for uid, source in SOURCES.items() if source.get("isDefault")] == ["prometheus"]


ON_A_LAPTOP = {"service__instance__id": "c1", "host__name": "h"}
SCRAPED_IN_A_CLUSTER = {"service__instance__id": "c1", "k8s__deployment__name": "car"}
WITHOUT_AN_ID = {"k8s__deployment__name": "car"}


@pytest.mark.parametrize("about", [ON_A_LAPTOP, SCRAPED_IN_A_CLUSTER, WITHOUT_AN_ID])
def test_a_trace_opens_the_metrics_of_its_service_and_of_no_other(
    about: dict[str, str], tmp_path: Path
) -> None:
    """By the tags that the backend answers, which are not those that were sent: `service.name` is none."""
    request = Request()
    add_span(request.resource("car", **about))
    data = TracesData(resource_spans=request.message.resource_spans)
    process = trace_json(TRACE, data)["processes"]["p1"]
    query = metrics_queries(process)["Requests a second"]
    counted = [_asked("car", "c1"), _asked("car", "c2"), _asked("price", "m1")]
    known = [_known("car", "c1"), _known("car", "c2"), _known("price", "m1")]
    expected = [{"labels": '{http_route="/car"}', "value": 2}]
    check = {"expr": query, "eval_time": "10m", "exp_samples": expected}
    test = {"interval": "15s", "input_series": [*counted, *known], "promql_expr_test": [check]}
    tested = run("promtool", "test", "rules", write(tmp_path / "link_test.yml", {"tests": [test]}))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def _asked(job: str, instance: str) -> dict[str, str]:
    """One request a second."""
    labels = f'job="{job}",instance="{instance}",http_route="/{job}"'
    return {"series": f"http_server_request_duration_seconds_count{{{labels}}}", "values": "0+15x40"}


def _known(job: str, instance: str) -> dict[str, str]:
    labels = f'job="{job}",instance="{instance}",service_instance_id="{instance}"'
    return {"series": f"target_info{{{labels}}}", "values": "1x40"}


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
