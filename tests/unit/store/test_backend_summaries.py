"""A trace's summary says what the whole trace says, although no span is decoded for it."""

from __future__ import annotations

import itertools

from backendkit import START, Request, add_span
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

RANGE = {"query.startTimeMin": "2026-11-22T00:00:00Z", "query.startTimeMax": "2026-11-23T00:00:00Z"}
NUMBERS = itertools.count(1)

SPANS = st.lists(
    st.fixed_dictionaries(
        {
            "service": st.sampled_from(["car", "web", "größe", "price"]),
            "name": st.sampled_from(["GET /", "SELECT"]),
            "span": st.integers(0x1001, 0x1005),
            "parent": st.sampled_from([0, *range(0x1001, 0x1008)]),
            "kind": st.integers(0, 5),
            "start": st.integers(0, 3).map(float),
            "duration": st.sampled_from([0.0, 0.01, 2.0]),
            "error": st.booleans(),
            "attributes": st.sampled_from([{}, {"a": 1, "b": "x"}, {"b": "x", "a": 1}, {"a": 2}]),
        }
    ),
    min_size=1,
    max_size=12,
)


def store_all(store, trace: bytes, spans, requests: int) -> None:
    for first in range(requests):
        request = Request()
        for span in spans[first::requests]:
            fields = dict(span)
            add_span(request.resource(fields.pop("service")), trace=trace, **fields)
        store.spans(request)


def expected(trace) -> dict:
    """The summary that the whole trace's JSON has."""
    services: dict[str, list[int]] = {}
    roots, orphans = [], 0
    ids = {span["spanID"] for span in trace["spans"]}
    for span in trace["spans"]:
        service = trace["processes"][span["processID"]]["serviceName"]
        counts = services.setdefault(service, [0, 0])
        counts[0] += 1
        counts[1] += {"key": "error", "type": "bool", "value": True} in span["tags"]
        parents = [ref["spanID"] for ref in span["references"]]
        if not parents:
            roots.append((span["startTime"], service, span["operationName"]))
        orphans += any(parent not in ids for parent in parents)
    begin = min(span["startTime"] for span in trace["spans"])
    return {
        "start": begin,
        "services": services,
        "orphans": orphans,
        "root_start": min((start for start, *_ in roots), default=None),
        "roots": {root[1:] for root in roots if root[0] == min(roots)[0]},
    }


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(spans=SPANS, requests=st.integers(1, 3))
def test_a_summary_says_what_the_whole_trace_says(store, spans, requests):
    trace = next(NUMBERS).to_bytes(16, "big")
    store_all(store, trace, spans, requests)
    whole = expected(store.get(f"/api/traces/{trace.hex()}")["data"][0])
    parameters = RANGE | {"query.serviceName": spans[0]["service"], "query.searchDepth": 5000}
    found = store.get("/api/v3/trace-summaries", **parameters)["summaries"]
    (mine,) = [summary for summary in found if summary["traceId"] == trace.hex()]
    assert int(mine["minStartTimeUnixNano"]) // 1000 == whole["start"]
    assert int(mine["maxEndTimeUnixNano"]) >= START
    assert {
        one["name"]: [one["spanCount"], one.get("errorSpanCount", 0)] for one in mine["services"]
    } == whole["services"]
    assert mine["spanCount"] == sum(counts[0] for counts in whole["services"].values())
    assert mine.get("errorSpanCount", 0) == sum(counts[1] for counts in whole["services"].values())
    assert mine.get("orphanSpanCount", 0) == whole["orphans"]
    root = (mine.get("rootServiceName", ""), mine.get("rootOperationName", ""))
    assert root in (whole["roots"] or {("", "")})


def test_summaries_are_found_by_tags_too(store):
    for number, colour in ((1, "red"), (2, "blue"), (3, "red")):
        request = Request()
        add_span(
            request.resource("car"),
            trace=bytes(15) + bytes([number]),
            start=number,
            attributes={"colour": colour},
        )
        store.spans(request)
    parameters = RANGE | {"query.serviceName": "car", "query.attributes": '{"colour":"red"}'}
    found = store.get("/api/v3/trace-summaries", **parameters)["summaries"]
    assert [int(summary["traceId"], 16) for summary in found] == [3, 1]
