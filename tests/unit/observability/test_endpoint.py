"""Telemetry never breaks or delays a request, whatever becomes of the endpoint: real sockets throughout."""

from __future__ import annotations

import http.server
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from polling import until

from observability.testing import capture

REQUESTS = 60
BOUND = 1.0
"""Seconds that a shutdown may take in these tests; what stands around it gets two more."""


@pytest.fixture
def app() -> Flask:
    app = Flask("demo")
    app.add_url_rule("/", view_func=lambda: "ok")
    return app


@pytest.fixture
def endpoint() -> Iterator[Callable[[str], str]]:
    """`endpoint("hanging")`: the URL of a receiver that behaves so."""
    with ExitStack() as stack:

        def make(kind: str) -> str:
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            if kind == "hanging":
                listener.listen(16)  # the system accepts, and nobody ever answers
            elif kind == "refusing":
                pass  # bound and not listening: a connection is refused
            elif kind == "absent":
                url = "http://192.0.2.1:4318"  # TEST-NET-1: packets go nowhere
            return url

        yield make


class Receiver:
    """Answers with `status`, keeps what it got."""

    def __init__(self) -> None:
        self.status = 200
        self.names: list[str] = []
        self.headers: dict[str, str] = {}
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.headers = dict(self.headers)
                if receiver.status == 200 and self.path == "/v1/traces":
                    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                        for scope in resource.scope_spans:
                            receiver.names += [span.name for span in scope.spans]
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,))
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


def exporting(url: str, **more: Any) -> dict[str, Any]:
    defaults = {"traces_exporter": "otlp", "endpoint": url, "schedule_delay": 10, "max_batch_size": 8}
    return {**defaults, "shutdown_timeout": BOUND, **more}


def ask(app: Flask, times: int = REQUESTS) -> float:
    """Ask so many times; every answer has to be right. Answers the seconds of the median request."""
    client, taken = app.test_client(), []
    for _ in range(times):
        began = time.perf_counter()
        answer = client.get("/")
        assert (answer.status_code, answer.get_data()) == (200, b"ok")
        taken.append(time.perf_counter() - began)
    return sorted(taken)[times // 2]


@pytest.mark.parametrize("kind", ["absent", "refusing", "hanging"])
def test_requests_succeed_as_quickly_and_the_end_keeps_its_bound(
    instrumented: Any, endpoint: Callable[[str], str], kind: str
) -> None:
    def build() -> Flask:
        app = Flask("demo")
        app.add_url_rule("/", view_func=lambda: "ok")
        return app

    quiet = build()
    instrumented(quiet)
    ask(quiet, 20)
    without = ask(quiet)
    app = build()
    telemetry = instrumented(app, **exporting(endpoint(kind), max_queue_size=20, export_timeout=60_000))
    ask(app, 20)
    with_endpoint = ask(app)
    assert with_endpoint < 4 * without + 0.002, f"{with_endpoint:.6f} s against {without:.6f} s a request"
    began = time.monotonic()
    telemetry.shutdown()
    assert time.monotonic() - began < BOUND + 10
    value = telemetry.families.registry.get_sample_value
    processed = [
        value("otel_sdk_processor_span_processed_total", {"error_type": kind}) or 0.0
        for kind in ("", "queue_full", "shutdown_timeout")
    ]
    assert sum(processed) == REQUESTS + 20, "every span is accounted for"
    assert processed[1] + processed[2] > 0


def test_spans_arrive_with_their_resource_and_headers(
    app: Flask, instrumented: Any, receiver: Receiver
) -> None:
    headers = (("authorization", "Bearer abc"),)
    telemetry = instrumented(app, **exporting(receiver.url, headers=headers, compression="none"))
    ask(app, 3)
    until(lambda: receiver.names == ["GET /"] * 3, "three spans to arrive")
    assert receiver.headers["authorization"] == "Bearer abc"
    value = telemetry.families.registry.get_sample_value
    until(
        lambda: value("otel_sdk_exporter_span_exported_total", {"error_type": ""}) == 3,
        "three spans to be counted as exported",
    )


def test_what_the_receiver_refuses_is_counted_by_its_status(
    app: Flask, instrumented: Any, receiver: Receiver
) -> None:
    receiver.status = 400
    telemetry = instrumented(app, **exporting(receiver.url))
    ask(app, 2)
    value = telemetry.families.registry.get_sample_value
    until(
        lambda: value("otel_sdk_exporter_span_exported_total", {"error_type": "400"}) == 2,
        "two spans to be counted as refused",
    )


def test_a_receiver_that_comes_back_gets_what_waited(
    app: Flask, instrumented: Any, receiver: Receiver
) -> None:
    receiver.status = 503
    instrumented(app, **exporting(receiver.url))
    ask(app, 2)
    receiver.status = 200
    until(lambda: len(receiver.names) == 2, "the spans to arrive after all")


def test_exporting_is_not_traced_and_not_measured_itself(
    app: Flask, instrumented: Any, receiver: Receiver
) -> None:
    telemetry = instrumented(app, **exporting(receiver.url))
    with capture(telemetry) as got:
        ask(app, 3)
        until(lambda: len(receiver.names) >= 3, "the spans to arrive")
    assert {span.name for span in got.spans} == {"GET /"}
    assert got.sample("http_client_request_duration_seconds_count") == 0


def test_an_endpoint_that_is_away_is_no_flood_of_log_lines(
    app: Flask, instrumented: Any, endpoint: Callable[[str], str]
) -> None:
    telemetry = instrumented(app, **exporting(endpoint("refusing"), export_timeout=50))
    complaints: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = complaints.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        ask(app, 40)
        failures = "otel_sdk_exporter_operation_duration_seconds_count"
        until(
            lambda: (
                sum(
                    sample.value
                    for family in telemetry.families.registry.collect()
                    for sample in family.samples
                    if sample.name == failures
                )
                >= 3
            ),
            "three exports to fail",
        )
    finally:
        logging.getLogger().removeHandler(handler)
    assert len([found for found in complaints if "opentelemetry" in found.name]) <= 1
