"""Declared signals equal emitted ones: metrics, log fields, and the span attributes that we set ourselves."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import urllib3
from flask import Flask

from observability import Telemetry, instrument, schema
from observability.testing import Captured, capture, settings

ROOT = Path(__file__).parents[2]
SERVER_SPAN = {
    *(
        "http.request.method",
        "http.route",
        "http.response.status_code",
        "url.scheme",
        "url.path",
        "url.query",
    ),
    *("server.address", "server.port", "client.address", "client.port", "user_agent.original"),
    *(
        "network.protocol.version",
        "network.peer.address",
        "network.peer.port",
        "http.request.method_original",
    ),
    "error.type",
}
"""What the official Flask instrumentation may set, by the stable HTTP conventions."""
CLIENT_SPAN = {
    *("http.request.method", "url.full", "http.response.status_code", "error.type"),
    *("network.peer.address", "network.peer.port"),
}
ELSEWHERE = {
    "dashcam_circuit_open": "services/car/app.py",
    "car_quotes": "services/car/app.py",
    "dashcam_server_threads": "observability/server/worker.py",
}
"""Families that are emitted outside the runtime part, and where."""


@pytest.fixture(scope="module")
def everything() -> Iterator[tuple[Telemetry, Captured]]:
    """A service that did everything the runtime part knows to do, failing included."""
    app = Flask("signals")
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)

    @app.get("/<name>")
    def work(name: str) -> str:
        with engine.begin() as connection:
            connection.execute(sa.text("SELECT 1 FROM sqlite_master WHERE name = :n"), {"n": name})
        if name == "broken":
            with urllib3.PoolManager() as pool:
                pool.request("GET", "http://127.0.0.1:9/", retries=False)
        logging.getLogger("signals").warning("worked", extra={"anything": 1, "server.address": "x"})
        return ""

    chosen = settings(traces_exporter="otlp", endpoint="http://127.0.0.1:9", export_timeout=50)
    telemetry = instrument(
        app, service="signals", version="1", settings=chosen, ready={"nothing": lambda: True}
    )
    with capture(telemetry) as got:
        for path in ("/fine?x=1", "/broken", "/no/where"):
            app.test_client().get(path).get_data()
        telemetry.readiness.report()
        telemetry.force_flush()
    yield telemetry, got
    telemetry.shutdown()
    engine.dispose()


def families(telemetry: Telemetry) -> dict[str, Any]:
    found = {family.name: family for family in telemetry.families.registry.collect()}
    return {name: family for name, family in found.items() if not name.startswith(schema.RUNTIME)}


def test_every_emitted_family_is_declared_with_its_kind_help_and_labels(everything: Any) -> None:
    declared = {metric.name: metric for metric in schema.METRICS}
    for name, family in families(everything[0]).items():
        metric = declared[name]
        assert family.type == metric.kind, name
        assert family.documentation == metric.help, name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels), name


def test_every_declared_family_is_emitted(everything: Any) -> None:
    emitted = {name for name, family in families(everything[0]).items() if family.samples}
    unused = {metric.name for metric in schema.METRICS} - emitted - set(ELSEWHERE)
    # Only a line that could not be written makes this one; tests/unit/observability/test_logs.py does that.
    assert unused == {"log_records_lost"}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_family_that_is_emitted_elsewhere_is_used_there(name: str) -> None:
    constants = {
        metric.name: key for key, metric in vars(schema).items() if isinstance(metric, schema.Metric)
    }
    assert f"schema.{constants[name]}" in (ROOT / ELSEWHERE[name]).read_text()


def test_every_field_of_every_line_is_declared_and_of_its_type(everything: Any) -> None:
    declared = {field.name: field for field in schema.LOG_FIELDS}
    kinds: dict[str, Any] = {"string": str, "int": int, "double": (int, float), "object": dict}
    lines = everything[1].lines()
    assert lines
    for line in lines:
        for key, value in line.items():
            assert isinstance(value, kinds[declared[key].type]), f"{key} = {value!r}"


def test_every_attribute_of_every_span_is_declared_or_of_the_conventions(everything: Any) -> None:
    ours = {field.name for field in schema.SPAN_ATTRIBUTES}
    allowed = {"SERVER": SERVER_SPAN, "CLIENT": CLIENT_SPAN | ours}
    spans = everything[1].spans
    assert {span.kind.name for span in spans} == {"SERVER", "CLIENT"}
    for span in spans:
        unknown = set(span.attributes or {}) - allowed[span.kind.name]
        assert not unknown, f"{span.name}: {unknown}"


def test_an_exemplar_is_on_every_duration(everything: Any) -> None:
    for name in ("http_server_request", "http_client_request", "db_client_operation"):
        assert everything[1].exemplars(f"{name}_duration_seconds_bucket"), name


def test_names_are_declared_once() -> None:
    for declared in (schema.METRICS, schema.LOG_FIELDS, schema.SPAN_ATTRIBUTES):
        names = [thing.name for thing in declared]
        assert len(names) == len(set(names))


def test_metric_names_have_the_form_of_their_kind() -> None:
    for metric in schema.METRICS:
        assert re.fullmatch(r"[a-z][a-z0-9_]*[a-z0-9]", metric.name)
        assert not metric.name.endswith(("_total", "_count", "_sum", "_bucket", "_info")), metric.name
        assert bool(metric.buckets) == (metric.kind == "histogram"), metric.name
        assert metric.help.endswith("."), metric.name


def test_no_family_is_made_beside_the_schema() -> None:
    """prometheus_client's classes are used in one module, so that nothing can be emitted undeclared."""
    makers = {"Counter", "Gauge", "Histogram", "Info", "Summary", "Enum"}
    for path in sorted([*(ROOT / "observability").glob("*.py"), *(ROOT / "services").rglob("*.py")]):
        if path.name == "metrics.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "prometheus_client":
                assert not makers & {alias.name for alias in node.names}, path
