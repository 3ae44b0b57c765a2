"""What bounds memory in the store: requests in parts, records of few elements, blocks by bytes, answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hostile
import pytest
from backendkit import START, TRACE, Request, Store, add_span, pairs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from dashcam.store import blocks, elements, links, otlp, otlp_parts, span_query, span_summary, writer
from dashcam.store.otlp import Malformed, TooLarge, decode_traces, parse_traces
from dashcam.store.otlp_json import parse_json
from dashcam.store.otlp_logs import decode_logs
from dashcam.store.otlp_parts import Parts
from dashcam.store.records import Batch
from dashcam.store.writer import Full


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.close()


def request(spans: int = 60, scopes: int = 3, size: int = 100) -> Request:
    made = Request()
    for scope in range(scopes):
        of = made.resource(f"service-{scope % 2}", f"scope-{scope}", host=scope)
        for i in range(spans):
            add_span(of, span=1000 * scope + i + 1, attributes={"text": "x" * size})
    return made


@pytest.mark.parametrize("part", [200, 1000, 5000])
def test_a_request_in_parts_has_the_same_spans(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    whole = request()
    monkeypatch.setattr(otlp_parts, "PART", part)
    parts = list(Parts(whole.body))
    assert len(parts) > 3
    assert max(map(len, parts)) < part + 200
    cut = [row._replace(group=None) for one in parts for row in decode_traces(parse_traces(one)).spans]  # type: ignore[arg-type]
    assert cut == [row._replace(group=None) for row in decode_traces(whole.message).spans]  # type: ignore[arg-type]


def test_a_record_that_is_too_long_is_left_out_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    made = request(spans=5, scopes=1)
    add_span(made.message.resource_spans[0].scope_spans[0], "long", span=99, attributes={"t": "x" * 2000})
    monkeypatch.setattr(otlp_parts, "PART", 1000)
    parts = Parts(made.body)
    names = [row.name for one in parts for row in decode_traces(parse_traces(one)).spans]
    assert (names, parts.too_large) == (["GET /cars"] * 5, 1)


@pytest.mark.parametrize("ending", [b"\x0a\x7f", b"\x0a\xff\xff", b"\x0b", b"\x09\x00", b"\x80" * 11])
def test_what_is_no_protobuf_is_malformed_in_parts_too(
    monkeypatch: pytest.MonkeyPatch, ending: bytes
) -> None:
    monkeypatch.setattr(otlp_parts, "PART", 1000)
    with pytest.raises(Malformed):
        list(Parts(request().body + ending))


def test_more_elements_than_are_looked_at_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_parts, "PART", 1000)
    monkeypatch.setattr(otlp_parts, "MOST", 100)
    with pytest.raises(TooLarge, match="100"):
        list(Parts(request().body))


def test_records_that_would_take_more_memory_than_a_request_may_are_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(otlp, "BATCH_BYTES", 100_000)
    decode_traces(request(spans=20).message)
    with pytest.raises(TooLarge, match="smaller batches"):
        decode_traces(request(spans=60).message)


def test_json_of_more_objects_than_are_read_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashcam.store.otlp_json.MOST", 10)
    with pytest.raises(TooLarge, match="11 objects"):
        parse_json(b'{"resourceSpans":[' + b"{}," * 8 + b"{}]}", Request().message)


DEEP: dict[str, Any] = {"values": [[1] * 100] * 101}


@pytest.mark.parametrize("attributes", [dict.fromkeys(map(str, range(10_001)), 1), DEEP])
def test_a_span_and_a_log_record_of_too_many_elements_are_rejected_alone(attributes: dict[str, Any]) -> None:
    made = request(spans=2, scopes=1)
    add_span(made.message.resource_spans[0].scope_spans[0], span=99, attributes=attributes)
    decoded = decode_traces(made.message)
    assert (len(decoded.spans), decoded.rejected, decoded.reason) == (2, 1, elements.REASON)
    logs = ExportLogsServiceRequest()
    records = logs.resource_logs.add().scope_logs.add().log_records
    records.add().attributes.extend(pairs(attributes))
    records.add().body.string_value = "x" * 100_000
    lines = decode_logs(logs, START // 1000)
    assert (len(lines.rows), lines.rejected, lines.reason) == (1, 1, elements.REASON)


def test_the_queue_is_bounded_in_bytes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = Batch(spans=decode_traces(request(spans=30).message).spans)
    monkeypatch.setattr(writer, "QUEUE_BYTES", round(batch.weight * 1.5))
    with store.writer._ready:  # the writer takes nothing meanwhile
        first = store.writer.submit(batch)
        with pytest.raises(Full, match="bytes"):
            store.writer.submit(Batch(spans=batch.spans))
    store.writer.wait(first, 10)
    store.put(Batch(spans=batch.spans))


def test_blocks_end_with_their_bytes_and_are_merged_within_them(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BYTES", 20_000)
    for i in range(40):
        one = Request()
        add_span(one.resource(), trace=TRACE, span=i + 1, attributes={"text": str(i) * 3000})
        store.spans(one)
        store.lines({"message": f"{i} " * 2000})
    store.spans(request(spans=100, scopes=1, size=1000))
    with store.writer._ready:
        sizes = [
            blocks.raw_bytes(payload)
            for table in ("span_data", "log_data")
            for (payload,) in store.writer._db.execute(f"SELECT payload FROM {table}").fetchall()
        ]
    assert 10 < len(sizes) < 70
    assert max(sizes) < 30_000
    trace = store.get(f"/api/traces/{TRACE.hex()}")["data"][0]
    assert len(trace["spans"]) == 140
    assert store.get("/api/logs", limit=1000)["total"] == 40


def test_what_waits_for_a_parent_is_bounded_also_where_it_is_one_parent(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "_REMEMBERED", 50)
    counter = store.writer.spans._links
    for minute in range(3):
        made = Request()
        of = made.resource()
        for i in range(200):
            add_span(of, span=1000 * minute + i + 2, parent=1, start=60 * i)
        store.spans(made)
    assert sum(map(len, counter._waiting.values())) <= 50


def test_a_search_ends_where_there_is_no_more_room_and_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(100):
        made = Request()
        trace = (i + 1).to_bytes(16, "big")
        add_span(made.resource(), trace=trace, start=i, attributes={"text": "x" * 3000})
        store.spans(made)
    monkeypatch.setattr(span_query.Room.__init__, "__defaults__", (30_000,))
    monkeypatch.setattr(span_query, "_BATCH", 5)
    search = {"service": "car", "start": START // 1000, "end": START // 1000 + 10**9, "limit": 100}
    answer = store.get("/api/traces", **search)
    assert 5 <= len(answer["data"]) < 30
    assert "narrow it" in answer["errors"][0]["msg"]
    assert max(int(trace["traceID"], 16) for trace in answer["data"]) == 100  # the newest come first
    assert store.get("/api/traces", **search | {"limit": 5})["errors"] is None


def test_a_trace_beyond_the_room_is_cut_and_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.spans(request(spans=300, scopes=3))
    monkeypatch.setattr(span_query.Room.__init__, "__defaults__", (30_000,))
    answer = store.get(f"/api/traces/{TRACE.hex()}")
    assert 0 < len(answer["data"][0]["spans"]) < 900
    assert "larger than" in answer["errors"][0]["msg"]
    assert "larger than" in answer["data"][0]["warnings"][0]


def test_summaries_leave_out_what_there_is_no_room_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.spans(request(spans=300, scopes=3))
    monkeypatch.setattr(span_summary, "ROOM", 10_000)
    when = {"query.startTimeMin": "2026-11-22T15:00:00Z", "query.startTimeMax": "2026-11-22T16:00:00Z"}
    assert store.get("/api/v3/trace-summaries", **when)["summaries"] == []


def test_a_page_of_long_lines_has_fewer_and_goes_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashcam.store.log_query.PAGE_BYTES", 50_000)
    store.lines(*[{"message": f"{i} " + "x" * 9000, "at": i} for i in range(20)])
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = store.get("/api/logs", limit=100, cursor=cursor)
        assert len(page["logs"]) <= 6
        seen += [line["message"].split()[0] for line in page["logs"]]
        cursor = page["next"]
    assert seen == [str(i) for i in reversed(range(20))]


def test_hostile_requests_are_what_they_say() -> None:
    assert len(hostile.empty_attributes()) > 14 * hostile.MIB
    assert len(hostile.compressed(hostile.long_spans(1))) < 100_000
