"""What the receiver refuses it refuses in a way that a sender can act on, and counts."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from backendkit import Request, add_span
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from polling import until
from receiving import PROTOBUF, Receiving

from dashcam.store import otlp_grpc
from dashcam.store.otlp_http import MEMBERS, inflate


@pytest.fixture
def receiving(tmp_path: Path) -> Iterator[Receiving]:
    made = Receiving(tmp_path)
    yield made
    made.close()


def request() -> Request:
    made = Request()
    add_span(made.resource("car"))
    return made


def test_a_call_beyond_those_that_may_wait_is_told_at_once_when_to_come_again(
    receiving: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp_grpc, "_CALLS", 8)
    with receiving.stuck_database():
        waiting = [receiving.traces.Export.future(request().message, timeout=20) for _ in range(8)]
        pool = receiving.receiver._grpc._server._state.thread_pool  # type: ignore[union-attr]
        until(lambda: pool.calls == 8, lambda: f"8 calls to wait, not {pool.calls}")
        with pytest.raises(grpc.RpcError) as caught:
            receiving.traces.Export(request().message, timeout=5)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    retry = RetryInfo()
    details = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
    assert Status.FromString(details).details[0].Unpack(retry)
    assert retry.retry_delay.seconds == 1
    refused = {"transport": "grpc", "signal": "traces", "outcome": "refused"}
    assert receiving.counted("dashcam_receiver_requests_total", **refused) == 1
    for call in waiting:
        call.result()
    assert receiving.stored() == 8


def test_a_hundred_exporters_are_served_without_a_refusal(receiving: Receiving) -> None:
    calls = [receiving.traces.Export.future(request().message, timeout=30) for _ in range(200)]
    assert [call.code() for call in calls] == [grpc.StatusCode.OK] * 200
    assert receiving.stored() == 200


def logs(*severities: int) -> ExportLogsServiceRequest:
    made = ExportLogsServiceRequest()
    records = made.resource_logs.add().scope_logs.add().log_records
    for severity in severities:
        records.add(severity_number=severity).body.string_value = "hello"  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize("severity", [300, 25, -1, 2**31 - 1])
def test_a_record_of_a_severity_that_does_not_exist_is_rejected_alone(
    receiving: Receiving, severity: int
) -> None:
    body = logs(9, severity, 24).SerializeToString()
    answer = receiving.http.post("/v1/logs", content=body, headers=PROTOBUF)
    partial = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_log_records) == (200, 1)
    assert str(severity) in partial.error_message
    assert receiving.stored("log_block") == 2


def test_what_no_database_takes_is_malformed_and_not_to_be_sent_again(
    receiving: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unstorable(*_: object) -> None:
        raise OverflowError("Python int too large to convert to SQLite INTEGER")

    monkeypatch.setattr(receiving.receiver._writer.spans, "write", unstorable)
    answer = receiving.http.post("/v1/traces", content=request().body, headers=PROTOBUF)
    assert (answer.status_code, "Retry-After" in answer.headers) == (400, False)
    assert "cannot be stored" in Status.FromString(answer.content).message


def test_a_database_that_fails_is_to_be_asked_again(
    receiving: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(receiving.receiver._writer.spans, "write", full)
    answer = receiving.http.post("/v1/traces", content=request().body, headers=PROTOBUF)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


EMPTY_MEMBER = gzip.compress(b"", mtime=0)


def test_millions_of_empty_gzip_members_cost_no_time_and_are_refused(receiving: Receiving) -> None:
    bomb = EMPTY_MEMBER * (2 * 2**20 // len(EMPTY_MEMBER))
    began = time.process_time()
    answer = receiving.http.post("/v1/traces", content=bomb, headers=PROTOBUF | {"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert time.process_time() - began < 1.0
    assert "members" in Status.FromString(answer.content).message


def test_members_across_pieces_are_joined() -> None:
    parts = [bytes([i % 251]) * 5000 for i in range(MEMBERS)]
    sent = b"".join(gzip.compress(part, mtime=0) for part in parts)
    assert inflate(sent, "gzip", 2**24) == b"".join(parts)
    assert inflate(sent, "gzip", 5000 * MEMBERS - 1) is None
