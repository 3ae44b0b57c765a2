"""Our spans mean what the SDK's mean: the same calls, the same result."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

from observability.traces import otlp
from observability.traces.processors import Processors
from observability.traces.sampling import HeadSampler
from observability.traces.spans import RecordedSpan
from observability.traces.tracer import SpanTracerProvider

LIMITS = {"max_span_attributes": 3, "max_attribute_length": 8, "max_events": 2, "max_links": 1}


class Knower:
    """First attributes that are collected when they are asked for."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.found, self.asked = found, 0

    def attributes(self) -> dict[str, Any]:
        self.asked += 1
        return self.found

    def encoded(self) -> bytes | None:
        return None


def made(provider: type[sdk.TracerProvider], **limits: int | None) -> tuple[sdk.Tracer, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    processors = Processors()
    processors.add_span_processor(SimpleSpanProcessor(exporter))
    tracers = provider(
        resource=Resource({}),
        shutdown_on_exit=False,
        active_span_processor=processors,
        span_limits=sdk.SpanLimits(**limits),
        sampler=sampling.ALWAYS_ON,
    )
    tracer = tracers.get_tracer("test", "1")
    assert isinstance(tracer, sdk.Tracer)
    return tracer, exporter


def told(span: sdk.ReadableSpan) -> Any:
    events = [
        (event.name, event.timestamp, dict(event.attributes or {}), event.dropped_attributes)
        for event in span.events
    ]
    links = [(link.context.span_id, dict(link.attributes or {})) for link in span.links]
    return (
        *(span.name, list((span.attributes or {}).items()), events, links, span.kind),
        *(span.status.status_code, span.status.description),
        *(span.dropped_attributes, span.dropped_events, span.dropped_links),
    )


keys = st.sampled_from(["a", "b", "c", "d", "e", ""])
things: st.SearchStrategy[Any] = (
    st.text(max_size=12)
    | st.integers()
    | st.floats(allow_nan=False)
    | st.booleans()
    | st.none()
    | st.lists(st.text(max_size=12), max_size=3)
    | st.dictionaries(keys, st.text(max_size=12), max_size=2)
    | st.builds(object)
)
mappings = st.dictionaries(keys, things, max_size=5)
calls = st.one_of(
    st.tuples(st.just("set_attribute"), keys, things),
    st.tuples(st.just("set_attributes"), mappings),
    st.tuples(st.just("add_event"), st.text(max_size=5), mappings, st.integers(0, 9)),
    st.tuples(
        st.just("add_link"), st.builds(SpanContext, st.integers(0, 3), st.just(7), st.just(True)), mappings
    ),
    st.tuples(st.just("update_name"), st.text(max_size=5)),
    st.tuples(st.just("set_status"), st.builds(Status, st.sampled_from(list(StatusCode)))),
    st.tuples(st.just("set_status"), st.sampled_from(list(StatusCode)), st.none() | st.text(max_size=5)),
    st.tuples(st.just("end"), st.integers(10, 20)),
)


@given(mappings, st.lists(calls, max_size=8), st.booleans())
@hypothesis_settings(max_examples=30, deadline=None)
def test_the_same_calls_give_the_same_span(first: dict[str, Any], done: list[Any], tight: bool) -> None:
    accounts = []
    for provider in (sdk.TracerProvider, SpanTracerProvider):
        tracer, exporter = made(provider, **(LIMITS if tight else {}))  # type: ignore[arg-type]
        span = tracer.start_span("x", attributes=first, start_time=5)
        for name, *arguments in done:
            getattr(span, name)(*arguments)
        if span.is_recording():
            span.end(30)
        (ended,) = exporter.get_finished_spans()
        accounts.append((told(ended), ended.start_time, ended.end_time))
    # An object's text holds its address.
    assert _without_addresses(accounts[0]) == _without_addresses(accounts[1])


def _without_addresses(account: Any) -> str:
    return "".join(
        "<object>" if part.startswith("object at 0x") else part for part in str(account).split("<")
    )


def test_it_is_a_span_of_the_sdk_and_ends_once() -> None:
    tracer, exporter = made(SpanTracerProvider)
    with tracer.start_as_current_span("x") as span:
        assert isinstance(span, RecordedSpan)
        assert isinstance(span, sdk.Span)
        assert trace.get_current_span() is span
    span.end()
    span.set_attribute("late", 1)
    (ended,) = exporter.get_finished_spans()
    assert ended is span
    assert "late" not in (ended.attributes or {})
    assert '"name": "x"' in ended.to_json()


def test_an_exception_is_recorded_without_its_secrets() -> None:
    tracer, exporter = made(SpanTracerProvider)
    with pytest.raises(ValueError, match="hunter22"), tracer.start_as_current_span("x"):
        raise ValueError("password=hunter22")
    (ended,) = exporter.get_finished_spans()
    assert "hunter22" not in ended.to_json()
    assert ended.status.description == "ValueError: password=[redacted]"
    assert (ended.events[0].attributes or {})["exception.message"] == "password=[redacted]"


def test_first_attributes_are_collected_once_and_only_when_asked_for() -> None:
    tracer, _ = made(SpanTracerProvider)
    knower = Knower({"a": 1, "b": "x"})
    span: Any = tracer.start_span("x", later=knower)  # type: ignore[call-arg]
    assert knower.asked == 0
    span.set_attribute("b", "y")
    assert dict(span.attributes) == {"a": 1, "b": "y"}
    span.end()
    assert knower.asked == 1


def test_a_processor_that_keeps_spans_can_read_them_later() -> None:
    tracer, exporter = made(SpanTracerProvider)
    tracer.start_span("x", later=Knower({"a": 1})).end()  # type: ignore[call-arg]
    (ended,) = exporter.get_finished_spans()
    assert dict(ended.attributes or {}) == {"a": 1}


def test_limits_hold_for_what_is_collected_late() -> None:
    tracer, exporter = made(SpanTracerProvider, **LIMITS)
    tracer.start_span("x", later=Knower({"a": "x" * 20, "b": 2, "c": 3, "d": 4})).end()  # type: ignore[call-arg]
    (ended,) = exporter.get_finished_spans()
    assert dict(ended.attributes or {}) == {"b": 2, "c": 3, "d": 4}
    assert ended.dropped_attributes == 1
    assert otlp.span(ended)


PARENTS = [
    None,
    *(SpanContext(9, 9, remote, TraceFlags(flags)) for remote in (True, False) for flags in (0, 1, 2, 3)),
]


@given(
    st.sampled_from([0.0, 0.01, 0.5, 1.0]) | st.floats(0, 1),
    st.booleans(),
    st.sampled_from(PARENTS),
    st.integers(1, 2**128 - 1),
)
@hypothesis_settings(max_examples=30, deadline=None)
def test_head_sampling_decides_as_the_sdk_does(
    ratio: float, follows: bool, parent: SpanContext | None, trace_id: int
) -> None:
    root: sampling.Sampler = sampling.TraceIdRatioBased(ratio)
    theirs = sampling.ParentBased(root) if follows else root
    context = Context() if parent is None else trace.set_span_in_context(NonRecordingSpan(parent), Context())
    expected = theirs.should_sample(context, trace_id, "x", attributes={"a": 1})
    mine = HeadSampler(ratio, follows_parent=follows)
    found = mine.should_sample(context, trace_id, "x", attributes={"a": 1})
    assert found.decision is expected.decision is mine.decide(parent, trace_id)
    assert dict(found.attributes or {}) == dict(expected.attributes or {})
    recorded = HeadSampler(ratio, follows_parent=follows, records_all=True).decide(parent, trace_id)
    assert recorded is (
        expected.decision if expected.decision.is_sampled() else sampling.Decision.RECORD_ONLY
    )


def test_requests_leave_nothing_for_the_garbage_collector(
    app: Flask, instrumented: Callable[..., Any]
) -> None:
    """A cycle would hold a request's environ until a collection, which all requests wait for."""
    bare = Flask("bare")
    for each in (app, bare):
        each.add_url_rule("/", "root", lambda: "ok")
    instrumented(app)
    left = {}
    for name, each in (("bare", bare), ("instrumented", app)):
        client = each.test_client()
        client.get("/")
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                client.get("/").close()
            left[name] = gc.collect()
        finally:
            gc.enable()
    assert left["instrumented"] <= left["bare"]
