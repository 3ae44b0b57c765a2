"""Spans that were stored are found again: by id, and by everything Jaeger's search takes."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from backendkit import START, TRACE, Request, add_span

from dashcam.store import blocks

WINDOW = {"start": START // 1000 - 1_000_000, "end": START // 1000 + 100_000_000}


def traces(store, **parameters):
    """The trace ids that a search finds, in its order."""
    found = store.get("/api/traces", **(WINDOW | parameters))
    return [trace["traceID"] for trace in found["data"]]


def trace_id(number: int) -> bytes:
    return (1 << 120 | number).to_bytes(16, "big")


def one_a_trace(store, count: int, **attributes) -> None:
    """Traces 0..count-1, each of one span that starts a second after the one before."""
    request = Request()
    scope = request.resource("car")
    for i in range(count):
        add_span(scope, trace=trace_id(i), start=i, attributes={"number": i} | attributes)
    store.spans(request)


def test_the_newest_traces_come_first_and_the_limit_cuts_the_oldest(store):
    one_a_trace(store, 5)
    assert traces(store, service="car", limit=3) == [trace_id(i).hex() for i in (4, 3, 2)]


def test_the_newest_come_first_also_when_they_arrive_in_any_order(store):
    order = list(range(60))
    random.Random(1).shuffle(order)
    for chunk in (order[:7], order[7:40], order[40:]):
        request = Request()
        scope = request.resource("car")
        for i in chunk:
            add_span(scope, trace=trace_id(i), start=i)
        store.spans(request)
    assert traces(store, service="car", limit=60) == [trace_id(i).hex() for i in range(59, -1, -1)]


def test_spans_of_a_trace_that_come_in_many_requests_are_one_trace(store):
    for i in range(1, 2 * blocks.SPANS):
        request = Request()
        add_span(request.resource("car"), span=i, start=i / 1000)
        store.spans(request)
    found = store.get(f"/api/traces/{TRACE.hex()}")["data"][0]
    assert [int(span["spanID"], 16) for span in found["spans"]] == list(range(1, 2 * blocks.SPANS))
    assert found["processes"] == {"p1": {"serviceName": "car", "tags": []}}


def test_small_blocks_are_merged_and_nothing_changes_for_a_search(store):
    for i in range(blocks.SPANS + 30):
        request = Request()
        add_span(request.resource("car"), trace=trace_id(i), start=i / 10, attributes={"number": i})
        store.spans(request)
    with store_reader(store) as db:
        sizes = [n for (n,) in db.execute("SELECT n FROM span_block ORDER BY id")]
    assert sizes[0] == blocks.SPANS
    assert sum(sizes) == blocks.SPANS + 30
    for i in (0, 77, blocks.SPANS - 1, blocks.SPANS, blocks.SPANS + 29):
        assert traces(store, service="car", tag=f"number:{i}") == [trace_id(i).hex()]
        assert len(store.get(f"/api/traces/{trace_id(i).hex()}")["data"][0]["spans"]) == 1


def store_reader(store):
    from contextlib import closing

    from dashcam.store.sqlite_file import open_reader

    return closing(open_reader(store.settings.database))


@pytest.mark.parametrize(
    "tag",
    [
        "text:plain",
        "number:7",
        "double:0.5",
        "flag:true",
        "bytes:AP8=",
        'list:["a",1,"eno=",null]',
        'map:{"k":"v"}',
        "unset:",
        "empty:",
        "host.name:here",
        "resource.host.name:here",
        "scope.attribute:s",
        "otel.scope.name:flask",
        "scope.name:flask",
        "scope.version:1.0",
        "otel.scope.version:1.0",
        "in.event:e",
        "event:happened",
        "in.link:l",
        "span.kind:server",
        "span.kind:SERVER",
        "error:true",
        "error:1",
        "span.status:error",
        "otel.status_code:ERROR",
        "otel.status_description:boom",
        "w3c.tracestate:a=b",
        "service.name:car",
    ],
)
def test_a_tag_is_found_wherever_jaeger_looks_for_it(store, tag):
    request = Request()
    scope = request.resource("car", "flask", "1.0", host__name="here")
    scope.scope.attributes.add(key="scope.attribute").value.string_value = "s"
    attributes = {
        "text": "plain",
        "number": 7,
        "double": 0.5,
        "flag": True,
        "bytes": b"\x00\xff",
        "list": ["a", 1, b"zz", None],
        "map": {"k": "v"},
        "unset": None,
        "empty": "",
    }
    span = add_span(scope, error=True, attributes=attributes)
    span.status.message, span.trace_state = "boom", "a=b"
    span.events.add(name="happened").attributes.add(key="in.event").value.string_value = "e"
    span.links.add(trace_id=TRACE, span_id=b"\x01" * 8).attributes.add(key="in.link").value.string_value = "l"
    other = request.resource("car")
    add_span(other, trace=trace_id(1), kind=1, attributes={"text": "other", "number": 8})
    store.spans(request)
    found = traces(store, service="car", tag=tag)
    # What only tells the first trace from the second; the service is that of both.
    assert TRACE.hex() in found
    assert (trace_id(1).hex() in found) == (tag == "service.name:car")


@pytest.mark.parametrize(
    "tag",
    [
        "text:Plain",
        "text:plai",
        "number:70",
        "number:7.0",
        "flag:1",
        "error:false",
        "error:maybe",
        "span.kind:x",
        "resource.text:plain",
        "host.name:there",
        "absent:x",
        "TEXT:plain",
    ],
)
def test_a_tag_that_differs_is_not_found(store, tag):
    request = Request()
    scope = request.resource("car", host__name="here")
    add_span(scope, error=True, attributes={"text": "plain", "number": 7, "flag": True})
    store.spans(request)
    assert traces(store, service="car", tag=tag) == []


def test_all_that_is_asked_must_be_on_one_span(store):
    request = Request()
    scope = request.resource("car")
    add_span(scope, "a", span=1, attributes={"x": "1"}, duration=0.1)
    add_span(scope, "b", span=2, attributes={"y": "2"}, duration=0.5)
    add_span(request.resource("web"), "a", span=3, attributes={"y": "2"})
    store.spans(request)
    assert traces(store, service="car", tags='{"x":"1"}') == [TRACE.hex()]
    assert traces(store, service="car", tags='{"x":"1","y":"2"}') == []
    assert traces(store, service="car", operation="a", tags='{"y":"2"}') == []
    assert traces(store, service="car", operation="a", minDuration="200ms") == []
    assert traces(store, service="web", operation="b") == []
    assert traces(store, service="web", operation="a", tags='{"y":"2"}') == [TRACE.hex()]


def test_durations_are_bounds_that_include_their_ends(store):
    request = Request()
    add_span(request.resource("car"), duration=0.1)
    store.spans(request)
    assert traces(store, service="car", minDuration="100ms", maxDuration="100ms") == [TRACE.hex()]
    assert traces(store, service="car", minDuration="100.000001ms") == []
    assert traces(store, service="car", maxDuration="99.999999ms") == []


def test_start_and_end_are_bounds_on_the_start_of_the_span(store):
    one_a_trace(store, 3)
    at = START // 1000 + 1_000_000
    assert traces(store, service="car", start=at, end=at) == [trace_id(1).hex()]
    assert traces(store, service="car", start=at + 1, end=at + 999_999) == []


def test_a_rare_tag_is_found_behind_many_spans_that_lack_it(store):
    one_a_trace(store, 3 * blocks.SPANS)
    assert traces(store, service="car", tag="number:0", end=START // 1000 + 10**9) == [trace_id(0).hex()]


def test_a_search_that_takes_too_long_says_that_it_is_not_complete(store, monkeypatch):
    monkeypatch.setattr("dashcam.store.span_query.SEARCH_SECONDS", -1.0)
    one_a_trace(store, 5)
    # A resource's tag has the token of a span's tag of that name, so all five seem to match.
    found = store.get("/api/traces", service="car", limit=2, tag="resource.number:1", **WINDOW)
    assert found["data"] == []
    one_a_trace(store, 5, kind="x")
    found = store.get("/api/traces", service="car", limit=2, tag="resource.kind:x", **WINDOW)
    assert (found["data"], found["errors"][0]["code"]) == ([], 504)
    # Nor does it go through every block where none holds what may match.
    found = store.get("/api/traces", service="car", limit=2, tag="number:99", **WINDOW)
    assert (found["data"], found["errors"][0]["code"]) == ([], 504)


def otlp(store, **more):
    """What `/api/v3/traces` answers of the car's traces."""
    window = {
        f"query.startTime{name}": datetime.fromtimestamp(us / 1e6, UTC).isoformat()
        for name, us in (("Min", WINDOW["start"]), ("Max", WINDOW["end"]))
    }
    return store.get("/api/v3/traces", **(window | {"query.serviceName": "car"} | more))


def test_an_answer_in_otlp_that_lacks_traces_says_so(store, monkeypatch):
    one_a_trace(store, 90, kind="x")
    assert "incomplete" not in otlp(store)
    assert "incomplete" not in otlp(store, **{"query.searchDepth": 2})
    with monkeypatch.context() as patched:
        patched.setattr("dashcam.store.span_query._SPAN_BYTES", 3 * 2**20)
        found = otlp(store)
        assert found["incomplete"] is True
        assert 0 < len(found["result"]["resourceSpans"]) < 90
    monkeypatch.setattr("dashcam.store.span_query.SEARCH_SECONDS", -1.0)
    # As with the tag of a resource above: the search gives up before it has found any.
    wanted = {"query.searchDepth": 2, "query.attributes": '{"resource.kind":"x"}'}
    assert otlp(store, **wanted) == {"result": {"resourceSpans": []}, "incomplete": True}


def test_a_trace_in_otlp_that_is_cut_says_so(store, monkeypatch):
    for i in range(1, 2 * blocks.SPANS):
        request = Request()
        add_span(request.resource("car"), span=i, start=i / 1000)
        store.spans(request)
    assert "incomplete" not in store.get(f"/api/v3/traces/{TRACE.hex()}")
    monkeypatch.setattr("dashcam.store.span_query._SPAN_BYTES", 2**20)
    assert store.get(f"/api/v3/traces/{TRACE.hex()}")["incomplete"] is True


def test_links_between_services_are_counted_in_whatever_order_spans_come(store):
    parts = [("web", 1, 0), ("car", 2, 1), ("price", 3, 2), ("car", 4, 2)]
    for parts_of_trace, number in ((parts, 1), (parts[::-1], 2)):
        for service, span, parent in parts_of_trace:
            request = Request()
            add_span(request.resource(service), trace=trace_id(number), span=span, parent=parent)
            store.spans(request)
    found = store.get("/api/dependencies", endTs=START // 1_000_000 + 60_000, lookback=3_600_000)["data"]
    assert found == [
        {"parent": "car", "child": "car", "callCount": 2},
        {"parent": "car", "child": "price", "callCount": 2},
        {"parent": "web", "child": "car", "callCount": 2},
    ]
    assert (
        store.get("/api/dependencies", endTs=START // 1_000_000 - 120_000, lookback=3_600_000)["data"] == []
    )


def test_a_service_with_a_slash_in_its_name_can_be_asked_for(store):
    request = Request()
    add_span(request.resource("team/car"), "op")
    store.spans(request)
    assert store.get("/api/services/team%2Fcar/operations")["data"] == ["op"]
