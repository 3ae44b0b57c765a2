"""What the own encoder writes, OTLP's own decoder reads as it reads the official encoder's."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from observability.traces import otlp

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | texts
    | st.binary(max_size=200)
    | st.none()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
attributes = st.dictionaries(texts.filter(bool), values, max_size=6)
times = st.integers(1, 2**64 - 1)
states = st.sampled_from([TraceState(), TraceState([("a", "1")]), TraceState([("a", "1"), ("b@c", "x y")])])
contexts = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.sampled_from([TraceFlags(bits) for bits in range(4)]),
    states,
)
statuses = st.builds(Status, st.just(StatusCode.ERROR), texts) | st.builds(
    Status, st.sampled_from([StatusCode.UNSET, StatusCode.OK])
)
ABOUT = Resource({"service.name": "demo", "numbers": (1, 2)}, "https://example.test/schema")
SCOPES = (
    InstrumentationScope("one", "1.0", "https://example.test/1", {"a": 1}),
    InstrumentationScope("two"),
    None,
)
spans = st.builds(
    ReadableSpan,
    name=texts,
    context=contexts,
    parent=st.none() | contexts,
    resource=st.just(ABOUT),
    attributes=attributes,
    events=st.lists(st.builds(Event, texts, attributes, times), max_size=2),
    links=st.lists(st.builds(Link, contexts, attributes), max_size=2),
    kind=st.sampled_from(list(SpanKind)),
    status=statuses,
    start_time=times,
    end_time=times,
    instrumentation_scope=st.sampled_from(SCOPES),
)


def read(given: list[ReadableSpan]) -> ExportTraceServiceRequest:
    body = otlp.request([otlp.encoded(span) for span in given], ABOUT)
    return ExportTraceServiceRequest.FromString(body)


@given(st.lists(spans, max_size=5))
@hypothesis_settings(max_examples=25, deadline=None)
def test_a_batch_means_what_the_official_encoder_means(batch: list[ReadableSpan]) -> None:
    if batch:
        assert read(batch) == encode_spans(batch)
    else:
        assert not read(batch).resource_spans[0].scope_spans


@pytest.mark.parametrize("number", [0, 1, 127, 128, 129, 16383, 16384, 2**31, 2**63 - 1, -1, -(2**63)])
def test_numbers_are_right_at_the_edges_of_their_lengths(number: int) -> None:
    span = ReadableSpan("x", SpanContext(1, 1, False), resource=ABOUT, attributes={"n": number})
    (found,) = read([span]).resource_spans[0].scope_spans[0].spans
    assert found.attributes[0].value.int_value == number


def test_one_and_true_and_one_point_nought_stay_apart() -> None:
    given: list[Any] = [1, True, 1.0, "1"]
    for thing in given * 2:
        span = ReadableSpan("x", SpanContext(1, 1, False), resource=ABOUT, attributes={"n": thing})
        (found,) = read([span]).resource_spans[0].scope_spans[0].spans
        value = found.attributes[0].value
        assert type(getattr(value, value.WhichOneof("value"))) is type(thing)


@pytest.mark.parametrize("thing", [2**63, "\ud800", object()])
def test_an_attribute_that_cannot_be_sent_costs_only_itself(
    thing: Any, caplog: pytest.LogCaptureFixture
) -> None:
    span = ReadableSpan(
        "x\ud800", SpanContext(1, 1, False), resource=ABOUT, attributes={"bad": thing, "good": 1}
    )
    with caplog.at_level(logging.ERROR):
        (found,) = read([span]).resource_spans[0].scope_spans[0].spans
    assert [pair.key for pair in found.attributes] == ["good"]
    assert "'bad'" in caplog.text
