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
from opentelemetry import trace
from opentelemetry.metrics import get_meter

from observability import Telemetry, instrument, schema
from observability.testing import Captured, capture, settings, undeclared

ROOT = Path(__file__).parents[2]
ELSEWHERE = {
    "dashcam_circuit_open": "services/car/app.py",
    "dashcam_server_threads": "observability/server/worker.py",
}
"""Families that are emitted outside the runtime part, and where."""
OF_THE_TEST = schema.Signals(log_fields=(schema.Field("anything", "int", "What the test attaches."),))


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


def test_what_is_emitted_is_declared(everything: Any) -> None:
    kinds = {span.kind.name for span in everything[1].spans}
    assert (kinds, bool(everything[1].lines())) == ({"SERVER", "CLIENT"}, True), "nothing was compared"
    assert undeclared(everything[1], OF_THE_TEST) == []


def test_what_is_not_declared_is_named() -> None:
    telemetry = instrument(Flask("signals"), service="signals", settings=settings(), registry=None)
    with capture(telemetry) as got:
        telemetry.metric(schema.Metric("made_up", "counter", "Nothing.", ("why",))).labels("so").inc()
        get_meter("mine").create_counter("orders.placed").add(1, {"kind": "gift"})
        with trace.get_tracer("mine").start_as_current_span("work") as span:
            span.set_attribute("order.id", 1)
        logging.getLogger("signals").warning("worked", extra={"order": 1, "http.route": 5})
        mine = schema.Signals(metrics=(schema.Metric("orders_placed", "counter", "", ("customer",)),))
        complaints = undeclared(got, mine)
    telemetry.shutdown()
    assert complaints == [
        "log field http.route is 5, declared as string",
        "log field order is not declared",
        "metric made_up is not declared",
        "metric orders_placed: the label kind is not declared",
        "span work: the attribute order.id is not declared",
    ]


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
    """prometheus_client's classes are used in one module, so that nothing of ours is emitted undeclared."""
    makers = {"Counter", "Gauge", "Histogram", "Info", "Summary", "Enum"}
    paths = [path for part in ("observability", "services") for path in (ROOT / part).rglob("*.py")]
    using = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "prometheus_client":
                using |= {path.name for alias in node.names if alias.name in makers}
    assert using == {"meters.py"}
