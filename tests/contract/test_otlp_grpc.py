"""The receiver speaks OTLP/gRPC as the specification has it, and the SDK's own exporters work unmodified."""

from __future__ import annotations

import json
import secrets
import threading
from contextlib import closing

import grpc
import httpx
import pytest
from backendkit import Request, add_span
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, StatusCode
from opentelemetry.trace import Status as SpanStatus
from polling import typical_seconds, until
from receiving import Receiving

from dashcam.store.query import create_app

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture
def running(tmp_path):
    made = Receiving(tmp_path, max_request_mib=1)
    yield made
    made.close()


def call_of(running: Receiving, body: bytes):
    """Call Export with any bytes."""
    return running.channel.unary_unary(TRACES, lambda data: data, lambda data: data)(body, timeout=10)


def request_of(count: int) -> Request:
    request = Request()
    scope = request.resource("car")
    for i in range(count):
        add_span(scope, span=i + 1)
    return request


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
def test_spans_are_stored_and_answered(running, compression):
    answer = running.traces.Export(request_of(50).message, compression=compression, timeout=10)
    assert not answer.HasField("partial_success")
    assert running.stored() == 50


@pytest.mark.parametrize("body", [b"\xff\xff", request_of(1).body[:-3], b"\x0a\x05hello"])
def test_what_does_not_parse_is_invalid_argument_and_stores_nothing(running, body):
    with pytest.raises(grpc.RpcError) as caught:
        call_of(running, body)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert running.stored() == 0


def test_an_id_of_a_wrong_length_is_invalid_argument_for_the_whole_request(running):
    request = request_of(2)
    add_span(request.resource("car"), trace=b"short")
    with pytest.raises(grpc.RpcError) as caught:
        running.traces.Export(request.message, timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "trace_id has 16 bytes" in caught.value.details()
    assert running.stored() == 0


def too_large(running):
    labels = {"transport": "grpc", "signal": "traces", "outcome": "too_large"}
    return running.counted("dashcam_receiver_requests_total", **labels)


def test_what_is_too_large_is_resource_exhausted_and_counted(running):
    request = request_of(1)
    add_span(request.resource("car"), attributes={"big": "x" * 2**20})
    for compression in (None, grpc.Compression.Gzip):
        with pytest.raises(grpc.RpcError) as caught:
            running.traces.Export(request.message, compression=compression, timeout=10)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert running.stored() == 0
    until(lambda: too_large(running) == 2, lambda: f"2 to be counted, not {too_large(running)}")


def test_a_call_that_its_sender_gives_up_is_not_counted_as_too_large(running):
    hold = threading.Event()

    def nothing():
        yield from (hold.wait(20) and b"" for _ in range(1))

    call = running.channel.stream_unary(TRACES, lambda data: data, lambda data: data)
    with pytest.raises(grpc.RpcError) as caught:
        call(nothing(), timeout=0.5)
    hold.set()
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    pool = running.receiver._grpc._server._state.thread_pool
    until(lambda: pool.calls == 0, lambda: f"no call to be left, not {pool.calls}")
    assert too_large(running) == 0


def test_a_full_queue_is_resource_exhausted_with_the_time_to_retry_after(tmp_path):
    with closing(Receiving(tmp_path, queue_records=100)) as running:
        with running.stuck_database():
            first = running.traces.Export.future(request_of(60).message, timeout=20)
            until(lambda: running.receiver._writer._waiting, "the first request at the writer", every=0.001)
            with pytest.raises(grpc.RpcError) as caught:
                running.traces.Export(request_of(41).message, timeout=10)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        retry = RetryInfo()
        details = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
        assert Status.FromString(details).details[0].Unpack(retry)
        assert retry.retry_delay.seconds == 1
        first.result()
        assert running.stored() == 60


def test_log_records_are_stored_and_metrics_without_a_temporality_are_rejected(running):
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add().body.string_value = "hello"
    LogsServiceStub(running.channel).Export(logs, timeout=10)
    assert running.stored("log_block") == 1
    metrics = ExportMetricsServiceRequest()
    metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    metric.sum.data_points.add(as_int=1)
    answer = MetricsServiceStub(running.channel).Export(metrics, timeout=10)
    assert answer.partial_success.rejected_data_points == 1
    assert "aggregation temporality" in answer.partial_success.error_message


def test_metrics_are_taken(running):
    metrics = ExportMetricsServiceRequest()
    metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="queue.length")
    metric.gauge.data_points.add(as_int=7)
    answer = MetricsServiceStub(running.channel).Export(metrics, timeout=10)
    assert not answer.HasField("partial_success")
    page = httpx.get(f"http://127.0.0.1:{running.receiver.http_port}/metrics/otlp").text
    assert 'queue_length{job="missing-service-name"} 7.0\n' in page


def test_another_method_is_unimplemented(running):
    call = running.channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Nope")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def exporter(running: Receiving, kind: str):
    http = f"http://127.0.0.1:{running.receiver.http_port}/v1/traces"
    if kind == "http":
        return HttpExporter(http)
    if kind == "http gzip":
        return HttpExporter(http, compression=Compression.Gzip)
    if kind == "http deflate":
        return HttpExporter(http, compression=Compression.Deflate)
    compression = grpc.Compression.Gzip if kind == "grpc gzip" else None
    return GrpcExporter(f"127.0.0.1:{running.receiver.grpc_port}", insecure=True, compression=compression)


@pytest.mark.parametrize("kind", ["http", "http gzip", "http deflate", "grpc", "grpc gzip"])
def test_what_the_python_sdk_exports_is_found_through_jaegers_api(running, kind):
    provider = TracerProvider(resource=Resource({"service.name": "car", "service.version": "1"}))
    provider.add_span_processor(BatchSpanProcessor(exporter(running, kind)))
    tracer = provider.get_tracer("peer", "9")
    with tracer.start_as_current_span("root", kind=SpanKind.SERVER) as root:
        link = Link(root.get_span_context(), {"why": "test"})
        with tracer.start_as_current_span("child", kind=SpanKind.CLIENT, links=[link]) as child:
            child.set_attributes({"text": "e-class", "n": 5, "ratio": 0.5, "list": ["a", "b"]})
            child.add_event("tick", {"at": 1})
            child.set_status(SpanStatus(StatusCode.ERROR, "boom"))
    provider.shutdown()
    client = create_app(running.settings).test_client()
    trace_id = f"{root.get_span_context().trace_id:032x}"
    found = client.get(
        "/api/traces", query_string={"service": "car", "tags": json.dumps({"n": "5"})}
    ).get_json()
    assert [trace["traceID"] for trace in found["data"]] == [trace_id]
    spans = {span["operationName"]: span for span in found["data"][0]["spans"]}
    tags = {tag["key"]: (tag["type"], tag["value"]) for tag in spans["child"]["tags"]}
    assert tags == {
        "otel.scope.name": ("string", "peer"),
        "otel.scope.version": ("string", "9"),
        "text": ("string", "e-class"),
        "n": ("int64", 5),
        "ratio": ("float64", 0.5),
        "list": ("string", '["a","b"]'),
        "span.kind": ("string", "client"),
        "otel.status_code": ("string", "ERROR"),
        "error": ("bool", True),
        "otel.status_description": ("string", "boom"),
    }
    parent = spans["root"]["spanID"]
    # The link is to the parent, so Jaeger shows one reference, of the link's type.
    assert spans["child"]["references"] == [
        {"refType": "FOLLOWS_FROM", "traceID": trace_id, "spanID": parent}
    ]
    assert spans["child"]["logs"][0]["fields"] == [
        {"key": "event", "type": "string", "value": "tick"},
        {"key": "at", "type": "int64", "value": 1},
    ]


def test_a_span_is_searchable_within_two_seconds_of_its_end(running):
    provider = TracerProvider(resource=Resource({"service.name": "car"}))
    provider.add_span_processor(BatchSpanProcessor(exporter(running, "http"), schedule_delay_millis=200))
    client = create_app(running.settings).test_client()
    client.get("/api/services")

    def end_one() -> str:
        with provider.get_tracer("x").start_as_current_span("now") as span:
            pass
        return f"/api/traces/{span.get_span_context().trace_id:032x}"

    assert typical_seconds(end_one, lambda path: client.get(path).status_code == 200, "the trace") < 2
    provider.shutdown()


def test_a_log_line_is_searchable_within_two_seconds_of_being_written(running):
    running.settings.log_dir.mkdir(exist_ok=True)
    client = create_app(running.settings).test_client()
    client.get("/api/logs")

    def write_one() -> str:
        word = secrets.token_hex(8)
        with (running.settings.log_dir / "car.log").open("a") as log:
            log.write(json.dumps({"message": word}) + "\n")
        return f"/api/logs?q={word}"

    assert typical_seconds(write_one, lambda path: client.get(path).get_json()["logs"], "the line") < 2
