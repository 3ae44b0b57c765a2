"""What Dashcam says of a request equals what opentelemetry-instrumentation-flask says of it.

Both are given the same application and the same requests. The differences that are meant are those of
`meant()` and `labels_of()`, each with its reason; docs/official-instrumentation.md lists them for readers.
Everything else (names, kinds, attributes, events, status, parents, counts) has to be equal.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from everyrequest import PARENT, REQUESTS, TRACE, Ask, application
from flask import Flask
from opentelemetry import propagate, trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource as About
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from observability import instrument, schema
from observability.http import official
from observability.testing import capture, settings
from observability.traces import otlp, propagation
from observability.traces.provider import MAX_ATTRIBUTE_LENGTH

ANSWERED_BY_THE_APPLICATION = {
    "/handled": "LookupError",
    "/restful/broken": "KeyError",
    "/status/500": "werkzeug.exceptions.InternalServerError",
    "/status/503": "werkzeug.exceptions.ServiceUnavailable",
}


@dataclass
class Seen:
    """What one side said: its spans by name, the counts of its durations, and what the client got."""

    spans: list[ReadableSpan] = field(default_factory=list)
    durations: Counter[tuple[str, ...]] = field(default_factory=Counter)
    active: float = 0.0
    answer: Any = None


class Encoding(SpanProcessor):
    """Encodes each span as it ends, as the queue does, and reads it with the official decoder."""

    def __init__(self) -> None:
        self.read: dict[int, dict[str, Any]] = {}

    def _on_ending(self, span: Any) -> None:
        message = Span.FromString(otlp.span(span))
        self.read[span.context.span_id] = {pair.key: _value(pair.value) for pair in message.attributes}


def _value(given: Any) -> Any:
    kind = given.WhichOneof("value")
    if kind == "array_value":
        return tuple(_value(one) for one in given.array_value.values)
    return None if kind is None else getattr(given, kind)


@contextmanager
def ours(**overrides: Any) -> Iterator[tuple[Flask, Seen]]:
    app = application(lambda: trace.get_tracer("views"))
    telemetry = instrument(app, "subject", settings=settings(**overrides))
    seen, encoding = Seen(), Encoding()
    telemetry.add_span_processor(encoding)
    try:
        with capture(telemetry) as got:
            yield app, seen
        seen.spans = got.spans
        for span in got.spans:
            if span.context and span.context.span_id in encoding.read:
                assert encoding.read[span.context.span_id] == dict(span.attributes or {})
        for family in telemetry.families.registry.collect():
            for sample in family.samples:
                if sample.name == "http_server_request_duration_seconds_count":
                    seen.durations[tuple(map(sample.labels.get, schema.HTTP_SERVER_DURATION.labels))] += int(
                        sample.value
                    )
                if sample.name == "http_server_active_requests":
                    seen.active += sample.value
    finally:
        telemetry.shutdown()


@contextmanager
def theirs() -> Iterator[tuple[Flask, Seen]]:
    official.stable_conventions()
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    limits = SpanLimits(max_attribute_length=MAX_ATTRIBUTE_LENGTH)
    tracers = TracerProvider(resource=About({}), shutdown_on_exit=False, span_limits=limits)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([reader], resource=About({}), shutdown_on_exit=False)
    app = application(lambda: tracers.get_tracer("views"))
    before = propagation.install(("tracecontext", "baggage"))
    FlaskInstrumentor.instrument_app(
        app, tracer_provider=tracers, meter_provider=meters, enable_commenter=False
    )
    # What an earlier before_request answers shall be a request too: so that there is something to compare.
    hooks = app.before_request_funcs[None]
    hooks.insert(0, hooks.pop(hooks.index(app._before_request)))  # type: ignore[attr-defined]
    seen = Seen()
    try:
        yield app, seen
    finally:
        FlaskInstrumentor.uninstrument_app(app)
        propagate.set_global_textmap(before)
    seen.spans = list(exporter.get_finished_spans())
    for metric in _metrics(reader):
        for point in metric.data.data_points:
            if metric.name == "http.server.request.duration":
                seen.durations[labels_of(point.attributes)] += point.count
            if metric.name == "http.server.active_requests":
                seen.active += point.value


def _metrics(reader: InMemoryMetricReader) -> Iterator[Any]:
    data = reader.get_metrics_data()
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            yield from scope.metrics


# -- the differences that are meant -----------------------------------------------------------------


def labels_of(attributes: Any) -> tuple[str, ...]:
    """Our labels of their attributes: only what schema.py declares, so that series stay few.

    And a word for what no route answers, so that no query has to look for an empty label.
    """
    given = {key.replace(".", "_"): str(value) for key, value in attributes.items()}
    given.setdefault("http_route", schema.UNMATCHED_ROUTE)
    return tuple(given.get(label, "") for label in schema.HTTP_SERVER_DURATION.labels)


def meant(name: str, attributes: dict[str, Any], events: list[Any], status: tuple[Any, Any]) -> Any:
    """Their account of a server span as we mean to give it."""
    if "http.route" not in attributes and name != "inner":
        # An unknown path is any user's text: it does not name a span.
        name = name.split(" ")[0]
    for key in ("url.path", "url.query", "user_agent.original"):
        # A client's UTF-8 is text, and not the Latin-1 that PEP 3333 makes of it.
        if key in attributes:
            attributes[key] = attributes[key].encode("latin-1").decode("utf-8", "replace")
    if "hunter22" in attributes.get("url.query", ""):
        # What looks like a credential is not recorded.
        attributes["url.query"] = attributes["url.query"].replace("hunter22", "[redacted]")
    path = attributes.get("url.path")
    if path in ("/stream", "/stream-in-context"):
        # What makes the body is part of the request: its span is current there and has not ended.
        attributes["app.row"] = 1
    if path == "/stream-broken":
        # And what fails there is a failure of the request.
        attributes["error.type"] = "OSError"
        events = [("exception", {"type": "OSError", "message": "gone"})]
        status = (StatusCode.ERROR, "OSError: gone")
    kind = ANSWERED_BY_THE_APPLICATION.get(attributes.get("url.path", ""))
    if kind is not None and "error.type" in attributes:
        # An exception that the application answers itself with a 5xx is the reason of the error.
        events, status = [*events, kind], (StatusCode.ERROR, kind.rpartition(".")[2])
    return name, attributes, events, status


def account(span: ReadableSpan) -> Any:
    attributes = dict(span.attributes or {})
    events: list[Any] = [(event.name, _event(dict(event.attributes or {}))) for event in span.events]
    text = span.status.description
    if attributes.get("url.path") in ANSWERED_BY_THE_APPLICATION and events:
        events = [event["type"] for _, event in events]
        assert text is not None
        text = text.partition(":")[0]
    return span.name, attributes, events, (span.status.status_code, text)


def _event(attributes: dict[str, Any]) -> dict[str, Any]:
    """Without the stack trace, which shows the frames of whoever calls, and without what is deprecated."""
    attributes.pop("exception.escaped", None)
    stack = attributes.pop("exception.stacktrace", None)
    assert stack is None or attributes["exception.message"] in stack
    return {key.removeprefix("exception."): value for key, value in attributes.items()}


def place(span: ReadableSpan, among: list[ReadableSpan]) -> Any:
    """Kind, trace state, and where it hangs: below a remote parent, another span, or nothing."""
    parent = span.parent
    names = {other.context.span_id: other.name for other in among if other.context}
    above = None if parent is None else names.get(parent.span_id, f"{parent.span_id:016x}")
    remote = None if parent is None else parent.is_remote
    context = span.context
    assert context is not None
    trace_id = f"{context.trace_id:032x}"
    return (
        span.kind,
        above,
        remote,
        int(context.trace_flags),
        dict(context.trace_state),
        trace_id if trace_id == TRACE else "new",
    )


def compare(ask: Ask, **overrides: Any) -> tuple[Seen, Seen]:
    with ours(**overrides) as (app, mine):
        mine.answer = ask(app)
    with theirs() as (app, other):
        other.answer = ask(app)
    assert len(mine.spans) == len(other.spans)
    for one, another in zip(mine.spans, other.spans, strict=True):
        assert account(one) == meant(*account(another))
        assert place(one, mine.spans) == place(another, other.spans)
        assert one.start_time < one.end_time  # type: ignore[operator]
    assert mine.durations == Counter(
        # A response that broke after its head counts as a failure.
        {
            (*labels[:2], "500") if "/stream-broken" in labels else labels: n
            for labels, n in other.durations.items()
        }
    )
    assert mine.active == other.active == 0
    assert mine.answer == other.answer
    return mine, other


@pytest.mark.parametrize("ask", REQUESTS)
def test_a_request_is_told_as_the_official_instrumentation_tells_it(ask: Ask) -> None:
    compare(ask)


def test_a_request_within_a_span_is_an_internal_one_below_it() -> None:
    def ask(app: Flask) -> Any:
        parent = trace.NonRecordingSpan(
            trace.SpanContext(int(TRACE, 16), int(PARENT, 16), False, trace.TraceFlags(1))
        )
        with trace.use_span(parent):
            return app.test_client().get("/work").status_code

    compare(ask)


def test_an_exception_that_escapes_the_application_is_the_500_that_the_official_one_leaves_out() -> None:
    def ask(app: Flask) -> Any:
        app.config["PROPAGATE_EXCEPTIONS"] = True
        with pytest.raises(ZeroDivisionError):
            app.test_client().get("/broken")

    with ours() as (app, mine):
        ask(app)
    with theirs() as (app, other):
        ask(app)
    (one,), (another,) = mine.spans, other.spans
    name, attributes, events, status = account(another)
    attributes |= {"http.response.status_code": 500, "error.type": "500"}
    assert account(one) == (name, attributes, events, status)
    assert mine.durations == {("GET", "/broken", "500"): 1}
    assert other.durations == {}


def test_nothing_is_current_after_a_request() -> None:
    def ask(app: Flask) -> Any:
        for path in ("/plain", "/broken", "/stream-in-context", "/nowhere"):
            app.test_client().get(path).get_data()
            assert trace.get_current_span() is trace.INVALID_SPAN

    compare(ask)


def test_captured_headers_are_told_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", "X-Car,Authorization,User.*"
    )
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE", "X-Thing,content-.*")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS", "authorization")

    def ask(app: Flask) -> Any:
        sent = {"X-Car": "bentz", "Authorization": "Bearer abcdefgh"}
        return app.test_client().get("/restful/car", headers=sent).status_code

    mine, _ = compare(ask)
    attributes = mine.spans[0].attributes or {}
    assert attributes["http.request.header.x_car"] == ("bentz",)
    assert attributes["http.response.header.x_thing"] == ("1",)


def test_every_method_is_kept_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS", "1")

    def ask(app: Flask) -> Any:
        return app.test_client().open("/plain", method="BREW").status_code

    mine, _ = compare(ask)
    assert (mine.spans[0].attributes or {})["http.request.method"] == "BREW"


def test_excluded_urls_leave_no_span_and_no_duration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PYTHON_FLASK_EXCLUDED_URLS", "plain")
    with ours() as (app, seen):
        assert app.test_client().get("/plain").status_code == 200
        app.test_client().get("/work")
    assert [span.name for span in seen.spans] == ["inner", "renamed"]
    assert list(seen.durations) == [("GET", "/work", "200")]


def test_the_official_parts_are_one_setting_away() -> None:
    with ours(instrumentation="official") as (app, seen):
        app.test_client().get("/cars/bentz/5").get_data()
    (span,) = seen.spans
    assert type(span).__module__.startswith("opentelemetry.")
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "opentelemetry.instrumentation.flask"
    assert os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"]
