"""The client of Jaeger's query API, on recorded answers."""

from __future__ import annotations

import pytest
import recorded
from recorded import START, TRACE, Recorded

from dashcam.sources import Jaeger, SourceRefused, SourceUnreadable, Trace, TraceQuery


def jaeger(answers: dict | None = None) -> tuple[Jaeger, Recorded]:  # type: ignore[type-arg]
    transport = Recorded(recorded.jaeger_answers() if answers is None else answers)
    return Jaeger(transport, "http://jaeger.test"), transport


def test_a_search_asks_with_jaegers_own_parameter_names() -> None:
    client, transport = jaeger()
    query = TraceQuery("car", 1, 2, "GET /cars", {"http.route": "/cars"}, "100ms", "1s", 7)
    client.search(query)
    assert transport.asked == [
        (
            "/api/traces",
            {
                "service": "car",
                "start": 1,
                "end": 2,
                "limit": 7,
                "operation": "GET /cars",
                "tags": '{"http.route":"/cars"}',
                "minDuration": "100ms",
                "maxDuration": "1s",
            },
        )
    ]


def test_a_trace_keeps_what_jaeger_said_of_it() -> None:
    client, _ = jaeger()
    trace = client.trace(TRACE)
    assert trace is not None
    assert (trace.start, trace.duration, trace.errors) == (START, 50_000, 2)
    assert dict(trace.services) == {"car": 3, "price": 1, "web": 2}
    assert trace.root is not None
    assert trace.root.span_id == "a1"
    failing = trace.by_id["c1"]
    assert failing.failed
    assert failing.parent_id == "b3"
    assert failing.resource["host.name"] == "laptop"
    assert failing.exceptions[0].attributes["exception.type"] == "ZeroDivisionError"
    assert failing.status_message == "division by zero"


def test_an_unknown_trace_is_none_and_not_an_error() -> None:
    client, _ = jaeger({})
    assert client.trace("0" * 32) is None


def test_a_refusal_carries_what_jaeger_said() -> None:
    client, _ = jaeger({"/api/traces": 400})
    with pytest.raises(SourceRefused, match="it answered 400") as caught:
        client.search(TraceQuery("car", 1, 2))
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": {}}', b'{"data": [{"traceID": "x"}]}'])
def test_an_answer_of_another_shape_is_unreadable_with_its_remedy(body: bytes) -> None:
    client, _ = jaeger({"/api/traces": body})
    with pytest.raises(SourceUnreadable, match="JAEGER_QUERY_URL"):
        client.search(TraceQuery("car", 1, 2))


def test_a_link_to_another_trace_is_not_the_parent() -> None:
    span = recorded.span("b1", None, "consume", "p1", 0, 5)
    span["references"] = [
        {"refType": "FOLLOWS_FROM", "traceID": "other", "spanID": "z9"},
        {"refType": "CHILD_OF", "traceID": "other", "spanID": "z8"},
    ]
    trace = Trace.from_jaeger({"traceID": TRACE, "spans": [span], "processes": {}})
    assert trace.spans[0].parent_id is None
    assert [link.span_id for link in trace.spans[0].links] == ["z9", "z8"]


def test_a_span_stored_twice_counts_once() -> None:
    data = recorded.quote_trace()
    data["spans"].append(data["spans"][0])
    assert len(Trace.from_jaeger(data).spans) == 6


def test_a_span_without_its_process_still_shows() -> None:
    data = recorded.quote_trace() | {"processes": {}}
    assert set(Trace.from_jaeger(data).services) == {"unknown_service"}


def test_the_download_of_otlp_is_the_message_without_jaegers_wrapping() -> None:
    client, _ = jaeger()
    assert client.otlp_json(TRACE) == b'{"resourceSpans":[]}'


SUMMARY = {
    "traceId": TRACE,
    "rootServiceName": "web",
    "rootOperationName": "GET /",
    "minStartTimeUnixNano": str(START * 1000 + 999),
    "maxEndTimeUnixNano": str((START + 50_000) * 1000),
    "spanCount": 6,
    "errorSpanCount": 2,
    "services": [{"name": "web", "spanCount": 2}, {"name": "car", "spanCount": 4, "errorSpanCount": 2}],
}
QUERY = TraceQuery("car", START, START + 1, "GET /cars", {"http.route": "/cars"}, "100ms", "1s", 7)


def test_summaries_are_asked_of_jaegers_own_api_for_them() -> None:
    client, transport = jaeger({"/api/v3/trace-summaries": {"summaries": [SUMMARY]}})
    (found,) = client.summaries(QUERY)
    assert transport.asked == [
        (
            "/api/v3/trace-summaries",
            {
                "query.serviceName": "car",
                "query.operationName": "GET /cars",
                "query.attributes": '{"http.route":"/cars"}',
                "query.startTimeMin": "2026-09-21T14:13:20.000000000Z",
                "query.startTimeMax": "2026-09-21T14:13:20.000001999Z",
                "query.durationMin": "100ms",
                "query.durationMax": "1s",
                "query.searchDepth": 7,
            },
        )
    ]
    assert (found.start, found.duration, found.spans, found.errors) == (START, 50_000, 6, 2)
    assert found.title == "web: GET /"
    assert list(found.services.items()) == [("car", 4), ("web", 2)]


@pytest.mark.parametrize("answer", [404, b"<!doctype html><title>Jaeger UI</title>"])
def test_a_jaeger_without_summaries_is_asked_for_whole_traces(answer: int | bytes) -> None:
    client, _ = jaeger(recorded.jaeger_answers() | {"/api/v3/trace-summaries": answer})
    (found,) = client.summaries(QUERY)
    assert (found.trace_id, found.start, found.duration, found.spans) == (TRACE, START, 50_000, 6)
    assert found.title == "web: GET /cars/{maker}/{model}"


def test_a_trace_whose_first_span_has_a_parent_elsewhere_is_named_by_that_span() -> None:
    rootless = {name: value for name, value in SUMMARY.items() if not name.startswith("root")}
    answers = recorded.jaeger_answers() | {"/api/v3/trace-summaries": {"summaries": [rootless]}}
    client, transport = jaeger(answers)
    (found,) = client.summaries(QUERY)
    assert found.title == "web: GET /cars/{maker}/{model}"
    assert transport.asked[1] == ("/api/traces", {"traceID": [TRACE]})


@pytest.mark.parametrize("answer", [{}, {"summaries": [{}]}, {"summaries": [5]}, {"summaries": 5}, []])
def test_summaries_of_another_shape_are_named_unreadable(answer: object) -> None:
    client, _ = jaeger({"/api/v3/trace-summaries": answer})
    with pytest.raises(SourceUnreadable):
        client.summaries(QUERY)


def test_a_refused_search_for_summaries_says_why() -> None:
    client, _ = jaeger({"/api/v3/trace-summaries": 400})
    with pytest.raises(SourceRefused):
        client.summaries(QUERY)
