"""Jaeger on a real Elasticsearch by the production manifests: their Job, collector, query and user."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from integration.search.conftest import password
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, format_trace_id
from polling import until
from realprograms import record_jaeger
from search_server.jaeger import JaegerOnElasticsearch, make_indices

from dashcam.stack.build_tools import provide
from dashcam.stack.tools import JAEGER_ROLLOVER

OURS = {"jaeger-span": "jaeger-span-000001", "jaeger-service": "jaeger-service-000001"}


@pytest.fixture(scope="module")
def indices(ready) -> str:
    """The Job that makes templates, first indices and aliases has run, twice."""
    rollover = provide(JAEGER_ROLLOVER)
    make_indices(rollover, ready.url, password("jaeger"))
    return make_indices(rollover, ready.url, password("jaeger"))


@pytest.fixture(scope="module")
def jaeger(ready, indices, ran, tmp_path_factory) -> Iterator[dict[str, JaegerOnElasticsearch]]:
    """The two processes of the production manifests."""
    program = record_jaeger(ran)
    folder = tmp_path_factory.mktemp("jaeger")
    started: dict[str, JaegerOnElasticsearch] = {}
    try:
        for name in ("collector", "query"):
            started[name] = JaegerOnElasticsearch(program, name, folder, ready.url, password("jaeger"))
        for each in started.values():
            each.wait()
        yield started
    finally:
        for each in started.values():
            each.stop()


@pytest.fixture(scope="module")
def trace_id(jaeger) -> str:
    """A trace of two services, one span of it failed."""
    exporter = OTLPSpanExporter(endpoint=f"127.0.0.1:{jaeger['collector'].ports[4317]}", insecure=True)
    providers = {name: TracerProvider(resource=Resource({"service.name": name})) for name in ("web", "car")}
    for provider in providers.values():
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    web, car = (provider.get_tracer("test") for provider in providers.values())
    with web.start_as_current_span("GET /cars", kind=SpanKind.SERVER) as root:
        root.set_attribute("http.response.status_code", 503)
        with car.start_as_current_span("GET /cars/{maker}", kind=SpanKind.SERVER) as inner:
            inner.set_attribute("größe", "groß")
            inner.record_exception(ValueError("no such car"))
            inner.set_status(Status(StatusCode.ERROR, "no such car"))
    for provider in providers.values():
        provider.shutdown()
    return format_trace_id(root.get_span_context().trace_id)


def whole(jaeger: dict[str, JaegerOnElasticsearch], trace_id: str) -> dict:
    """The trace, once both of its spans are searchable: they may come with different bulk requests."""

    def complete() -> dict | None:
        (trace,) = jaeger["query"].get(f"/api/traces/{trace_id}") or [None]
        return trace if trace and len(trace["spans"]) == 2 else None

    return until(complete, "both spans of the trace", within=60)


@pytest.mark.verifies(
    component="Elasticsearch",
    claim="takes templates, indices and aliases of Jaeger's es-rollover, again when it runs twice",
)
def test_the_job_of_the_indices_runs_twice(ready, indices):
    for alias, index in OURS.items():
        for end in ("read", "write"):
            assert list(ready.expect("GET", f"/_alias/{alias}-{end}")) == [index]
        settings = ready.expect("GET", f"/{index}/_settings")[index]["settings"]["index"]
        assert settings["lifecycle"] == {"name": "jaeger-ilm-policy", "rollover_alias": f"{alias}-write"}
        assert (settings["number_of_shards"], settings["number_of_replicas"]) == ("1", "1")


@pytest.mark.verifies(
    component="Jaeger", claim="writes and finds traces on Elasticsearch by the production manifests"
)
def test_a_trace_is_written_and_read_back(jaeger, trace_id):
    trace = whole(jaeger, trace_id)
    spans = {span["operationName"]: span for span in trace["spans"]}
    assert set(spans) == {"GET /cars", "GET /cars/{maker}"}
    tags = {tag["key"]: tag["value"] for tag in spans["GET /cars/{maker}"]["tags"]}
    assert tags["größe"] == "groß"
    assert tags["error"] is True
    (event,) = spans["GET /cars/{maker}"]["logs"]
    assert {"key": "exception.message", "type": "string", "value": "no such car"} in event["fields"]
    assert spans["GET /cars/{maker}"]["references"][0]["spanID"] == spans["GET /cars"]["spanID"]
    assert {each["serviceName"] for each in trace["processes"].values()} == {"web", "car"}


@pytest.mark.verifies(
    component="Jaeger", claim="searches Elasticsearch by service, operation, tag and duration"
)
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("service=web", True),
        ("service=car&operation=GET%20/cars/%7Bmaker%7D", True),
        ("service=web&tags=%7B%22http.response.status_code%22:%22503%22%7D", True),
        ("service=car&tags=%7B%22error%22:%22true%22%7D", True),
        ("service=web&tags=%7B%22http.response.status_code%22:%22200%22%7D", False),
        ("service=web&minDuration=1h", False),
    ],
)
def test_a_trace_is_found_by_what_it_has(jaeger, trace_id, query, found):
    def search() -> list:
        return jaeger["query"].get(f"/api/traces?{query}&lookback=1h&limit=20")

    whole(jaeger, trace_id)
    if found:
        until(lambda: trace_id in [each["traceID"] for each in search()], f"the trace by {query}", within=30)
    else:
        assert search() == []


@pytest.mark.verifies(component="Jaeger", claim="lists services and operations from Elasticsearch")
def test_services_and_operations_are_listed(jaeger, trace_id):
    until(lambda: set(jaeger["query"].get("/api/services")) == {"web", "car"}, "both services", within=60)
    assert jaeger["query"].get("/api/services/web/operations") == ["GET /cars"]


@pytest.mark.verifies(
    component="Elasticsearch", claim="has Jaeger's spans where aliases and lifecycle expect them"
)
def test_spans_lie_in_the_indices_of_the_aliases(ready, jaeger, trace_id):
    whole(jaeger, trace_id)
    ready.expect("POST", "/jaeger-*/_refresh")
    names = {each["index"] for each in ready.expect("GET", "/_cat/indices/jaeger-*?format=json")}
    assert set(OURS.values()) <= names
    assert not {name for name in names if "-20" in name}, "indices by day, which no lifecycle deletes"
    assert ready.expect("GET", "/jaeger-span-000001/_count")["count"] == 2
