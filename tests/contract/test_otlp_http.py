"""The receiver speaks OTLP/HTTP as the specification has it, and stores nothing of what it refuses."""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from backendkit import TRACE, Request, add_span
from google.protobuf.json_format import MessageToJson
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from polling import until
from prometheus_client.parser import text_string_to_metric_families
from receiving import JSON, PROTOBUF, Receiving

from dashcam.store import sqlite_file
from dashcam.store.settings import LocalSettings
from observability.settings import SettingError, from_environ


@pytest.fixture
def running(tmp_path):
    made = Receiving(tmp_path, max_request_mib=1)
    yield made
    made.close()


def body(count=1, **options) -> bytes:
    request = Request()
    scope = request.resource("car")
    for i in range(count):
        add_span(scope, span=i + 1, **options)
    return request.body


DOCUMENT = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "car"}}]},
            "scopeSpans": [
                {
                    "scope": {"name": "x", "future": {"unknown": [1]}},
                    "spans": [
                        {
                            "traceId": "0123456789ABCDEF0123456789abcdef",
                            "spanId": "00000000000000a1",
                            "parentSpanId": "",
                            "name": "GET /cars",
                            "kind": 2,
                            "startTimeUnixNano": "1795360000000000000",
                            "endTimeUnixNano": 1795360000010000000,
                            "attributes": [
                                {"key": "n", "value": {"intValue": "5"}},
                                {"key": "traceId", "value": {"stringValue": "not hex"}},
                                {
                                    "key": "kv",
                                    "value": {"kvlistValue": {"values": [{"key": "spanId", "value": {}}]}},
                                },
                            ],
                            "events": [{"timeUnixNano": "1795360000000000001", "name": "e"}],
                            "links": [
                                {"traceId": "0123456789abcdef0123456789abcdef", "spanId": "00000000000000b1"}
                            ],
                            "status": {"code": 2},
                        }
                    ],
                }
            ],
        }
    ]
}


def test_protobuf_is_stored_and_answered_in_protobuf(running):
    answer = running.http.post("/v1/traces", content=body(3), headers=PROTOBUF)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-protobuf")
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    assert running.stored() == 3


def test_json_is_stored_and_answered_in_json(running):
    answer = running.http.post("/v1/traces", json=DOCUMENT)
    assert (answer.status_code, answer.headers["content-type"], answer.json()) == (
        200,
        "application/json",
        {},
    )
    with closing(sqlite_file.open_reader(running.settings.database)) as db:
        assert set(db.execute("SELECT service, name, kind FROM operation")) == {("car", "GET /cars", 2)}


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("GZIP", gzip.compress),
        ("gzip", lambda data: gzip.compress(data[:9], mtime=0) + gzip.compress(data[9:])),
    ],
)
def test_compressed_bodies_are_read(running, encoding, compress):
    headers = PROTOBUF | {"Content-Encoding": encoding}
    assert running.http.post("/v1/traces", content=compress(body()), headers=headers).status_code == 200
    assert running.stored() == 1


def test_a_chunked_body_is_read(running):
    sent = body(20)
    answer = running.http.post(
        "/v1/traces", content=iter([sent[:7], sent[7:100], sent[100:]]), headers=PROTOBUF
    )
    assert answer.status_code == 200
    assert running.stored() == 20


def test_an_empty_request_is_a_success(running):
    assert running.http.post("/v1/traces", content=b"", headers=PROTOBUF).status_code == 200
    assert running.http.post("/v1/traces", content=b"{}", headers=JSON).status_code == 200


@pytest.mark.parametrize("ids", [(b"", 1), (bytes(16), 1), (TRACE, 0)])
def test_a_span_without_an_id_is_rejected_alone(running, ids):
    request = Request()
    scope = request.resource("car")
    add_span(scope, trace=ids[0], span=ids[1])
    add_span(scope, span=7)
    answer = running.http.post("/v1/traces", content=request.body, headers=PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_spans, running.stored()) == (200, 1, 1)
    assert "all zeros" in partial.error_message


def changed(path: str, value) -> bytes:
    """DOCUMENT with the field at a path of the one span replaced."""
    document = json.loads(json.dumps(DOCUMENT))
    document["resourceSpans"][0]["scopeSpans"][0]["spans"][0][path] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"\xff\xff\xff", PROTOBUF),
        (body(2)[:-5], PROTOBUF),
        (b"not protobuf", PROTOBUF),
        (body().replace(b"GET /cars", b"GET \xff\xfe\xfd\xfcrs"), PROTOBUF),
        (body(trace=b"short"), PROTOBUF),
        (b"", JSON),
        (b"{", JSON),
        (b"[]", JSON),
        (b"null", JSON),
        (b'"x"', JSON),
        (b"[" * 100_000, JSON),
        (b'{"resourceSpans":' + b'[{"a":' * 5000 + b"1" + b"}]" * 5000 + b"}", JSON),
        (b'{"resourceSpans": 5}', JSON),
        (b'{"resourceSpans": [5]}', JSON),
        (changed("traceId", "xyz"), JSON),
        (changed("traceId", "abc"), JSON),
        (changed("traceId", 5), JSON),
        (changed("spanId", "00"), JSON),
        (changed("parentSpanId", "ffff"), JSON),
        (changed("startTimeUnixNano", "soon"), JSON),
        (changed("startTimeUnixNano", -1), JSON),
        (changed("kind", {}), JSON),
        (changed("attributes", [{"key": "k", "value": {"intValue": "1.5"}}]), JSON),
        (changed("attributes", {"k": "v"}), JSON),
        (changed("links", [{"traceId": "00"}]), JSON),
        (changed("name", "\ud800"), JSON),
        (body(), PROTOBUF | {"Content-Encoding": "gzip"}),
        (gzip.compress(body(), mtime=0)[:-6], PROTOBUF | {"Content-Encoding": "gzip"}),
        (gzip.compress(body(), mtime=0) + b"rubbish", PROTOBUF | {"Content-Encoding": "gzip"}),
    ],
)
def test_what_is_malformed_is_a_400_in_its_own_encoding_and_stores_nothing(running, content, headers):
    answer = running.http.post("/v1/traces", content=content, headers=headers)
    assert answer.status_code == 400, answer.content
    assert answer.headers["content-type"] == headers["Content-Type"]
    if headers is JSON:
        assert answer.json()["code"] == 3
        assert answer.json()["message"]
    else:
        status = Status.FromString(answer.content)
        assert (status.code, bool(status.message)) == (3, True)
    assert running.stored() == 0


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_bad_span_fails_its_whole_request(running, place):
    request = Request()
    for i in range(3):
        add_span(request.resource("car"), span=i + 1, trace=b"bad" if i == place else TRACE)
    assert running.http.post("/v1/traces", content=request.body, headers=PROTOBUF).status_code == 400
    assert running.stored() == 0


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"x" * (2**20 + 1), PROTOBUF),
        (b"x" * (5 * 2**20), PROTOBUF),
        (gzip.compress(b"\0" * (50 * 2**20), mtime=0), PROTOBUF | {"Content-Encoding": "gzip"}),
        (zlib.compress(b"\0" * (2**20 + 1)), JSON | {"Content-Encoding": "deflate"}),
    ],
)
def test_what_is_too_large_is_a_413_before_and_after_decompression(running, content, headers):
    answer = running.http.post("/v1/traces", content=content, headers=headers)
    assert answer.status_code == 413
    assert running.stored() == 0
    assert running.http.post("/v1/traces", content=body(), headers=PROTOBUF).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/v1/nope", PROTOBUF, 404),
        ("POST", "/", PROTOBUF, 404),
        ("POST", "/v1/traces/", PROTOBUF, 404),
        ("GET", "/v1/traces", PROTOBUF, 405),
        ("PUT", "/v1/traces", PROTOBUF, 405),
        ("POST", "/v1/traces", {"Content-Type": "text/plain"}, 415),
        ("POST", "/v1/traces", {}, 415),
        ("POST", "/v1/traces", PROTOBUF | {"Content-Encoding": "br"}, 415),
    ],
)
def test_what_is_not_spoken_here_has_its_own_status(running, method, path, headers, status):
    answer = running.http.request(method, path, content=body(), headers=headers)
    assert answer.status_code == status
    assert status != 405 or answer.headers["allow"] == "POST"
    assert running.stored() == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
        b"Content-Length: 500\r\n\r\nabc",
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GARBAGE\r\n\r\n",
    ],
)
def test_a_connection_that_breaks_off_or_is_no_http_stores_nothing_and_harms_nobody(running, raw):
    with socket.create_connection(("127.0.0.1", running.receiver.http_port)) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(5)
        answer = connection.recv(4096)
    assert not answer or answer.split()[1][:1] == b"4"
    assert running.http.get("/readyz").status_code == 200
    assert running.stored() == 0


def test_a_full_queue_is_a_429_with_retry_after_and_nothing_of_it_is_stored(tmp_path):
    with closing(Receiving(tmp_path, max_request_mib=1, queue_records=100)) as running:

        def post(count: int):
            return running.http.post("/v1/traces", content=body(count), headers=PROTOBUF)

        with ThreadPoolExecutor(1) as pool:
            with running.stuck_database():
                first = pool.submit(post, 60)
                until(
                    lambda: running.receiver._writer._waiting, "the first request at the writer", every=0.001
                )
                refused = post(41)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert Status.FromString(refused.content).code == 8
            assert first.result().status_code == 200
        assert running.stored() == 60
        refusals = {"outcome": "refused", "signal": "traces"}
        assert running.counted("dashcam_receiver_records_total", **refusals) == 41
        assert post(41).status_code == 200


def test_a_store_that_fails_is_a_503_with_retry_after_and_makes_the_receiver_not_ready(running):
    writer = running.receiver._writer
    original = writer._store

    def full(tickets):
        raise OSError("no space left on device")

    writer._store = full
    answer = running.http.post("/v1/traces", content=body(), headers=PROTOBUF)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    ready = running.http.get("/readyz")
    assert (ready.status_code, "no space left" in ready.text) == (503, True)
    writer._store = original
    assert running.http.post("/v1/traces", content=body(), headers=PROTOBUF).status_code == 200
    assert running.http.get("/readyz").status_code == 200
    assert running.stored() == 1


def test_log_records_become_log_lines(running):
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "car"
    scope = resource.scope_logs.add()
    scope.scope.name = "car.app"
    record = scope.log_records.add(
        time_unix_nano=1_795_360_000_000_001_000, severity_number=17, trace_id=TRACE
    )
    record.body.string_value = "it broke"
    record.attributes.add(key="http.route").value.string_value = "/cars"
    record.attributes.add(key="message").value.string_value = "not this"
    answer = running.http.post("/v1/logs", content=request.SerializeToString(), headers=PROTOBUF)
    assert answer.status_code == 200
    from dashcam.store.query import create_app

    found = create_app(running.settings).test_client().get("/api/logs").get_json()["logs"]
    assert found == [
        {
            "timestamp": "2026-11-22T15:06:40.000001Z",
            "severity": "ERROR",
            "message": "it broke",
            "attributes.message": "not this",
            "service": "car",
            "trace_id": TRACE.hex(),
            "logger": "car.app",
            "http.route": "/cars",
        }
    ]


def test_metrics_without_a_name_are_rejected_with_the_reason(running):
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="")
    metric.gauge.data_points.add(as_int=1)
    metric.gauge.data_points.add(as_int=2)
    answer = running.http.post("/v1/metrics", content=request.SerializeToString(), headers=PROTOBUF)
    partial = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_data_points) == (200, 2)
    assert "no usable name" in partial.error_message


def metrics_request() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    sent = request.resource_metrics.add()
    sent.resource.attributes.add(key="service.name").value.string_value = "orders"
    metric = sent.scope_metrics.add().metrics.add(name="orders.placed", unit="{order}")
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 2
    metric.sum.data_points.add(as_int=3, time_unix_nano=1)
    return request


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_metrics_are_on_the_page_that_prometheus_scrapes(running, encoding):
    request = metrics_request()
    if encoding == "protobuf":
        content, headers = request.SerializeToString(), PROTOBUF
    else:
        content, headers = MessageToJson(request).encode(), JSON
    answer = running.http.post("/v1/metrics", content=content, headers=headers)
    assert (answer.status_code, answer.content) == (200, b"" if encoding == "protobuf" else b"{}")
    page = running.http.get("/metrics/otlp", headers={"Accept": "application/openmetrics-text"})
    assert page.headers["content-type"].startswith("application/openmetrics-text")
    assert 'orders_placed_total{job="orders"} 3.0\n' in page.text
    assert "# TYPE orders_placed counter\n" in page.text
    assert page.text.endswith("# EOF\n")
    text = running.http.get("/metrics/otlp")
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(text.text)}
    assert families["orders_placed"].type == "counter"
    assert families["orders_placed"].samples[0].value == 3.0
    assert "# EOF" not in text.text
    assert "dashcam_receiver_pushed_series 1.0\n" in running.http.get("/metrics").text


def test_no_page_of_a_browser_may_send_unless_its_origin_is_listed(tmp_path):
    asked = {"Origin": "http://localhost:5000", "Access-Control-Request-Method": "POST"}
    closed = Receiving(tmp_path / "closed")
    opened = Receiving(tmp_path / "opened", cors_origins=("http://localhost:5000",))
    try:
        refused = closed.http.options("/v1/traces", headers=asked)
        assert "access-control-allow-origin" not in refused.headers
        allowed = opened.http.options("/v1/traces", headers=asked)
        assert allowed.status_code == 204
        assert allowed.headers["access-control-allow-origin"] == "http://localhost:5000"
        assert "Content-Type" in allowed.headers["access-control-allow-headers"]
        other = opened.http.options("/v1/traces", headers=asked | {"Origin": "http://evil.example"})
        assert (other.status_code, "access-control-allow-origin" in other.headers) == (403, False)
        sent = opened.http.post("/v1/traces", content=body(), headers=PROTOBUF | asked)
        assert sent.headers["access-control-allow-origin"] == "http://localhost:5000"
        assert sent.headers["vary"] == "Origin"
        page = opened.http.get("/metrics", headers=asked)
        assert "access-control-allow-origin" not in page.headers
    finally:
        closed.close()
        opened.close()


@pytest.mark.parametrize("origins", ["*", "localhost:5000", "http://localhost:5000/page"])
def test_an_origin_that_cannot_be_one_is_refused(origins):
    with pytest.raises(SettingError, match="OTLP_CORS_ORIGINS"):
        from_environ(LocalSettings, {"OTLP_CORS_ORIGINS": origins})


def test_health_and_metrics_are_served(running):
    assert running.http.get("/livez").status_code == 200
    assert running.http.get("/readyz").text == "ok\n"
    running.http.post("/v1/traces", content=body(4), headers=PROTOBUF)
    text = running.http.get("/metrics").text
    assert 'dashcam_receiver_records_total{outcome="stored",signal="traces"} 4.0' in text
    openmetrics = running.http.get(
        "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")
