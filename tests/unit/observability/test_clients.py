"""Outgoing HTTP: a client span and a sample for each call, answered or not."""

from __future__ import annotations

import asyncio
import http.server
import io
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import httpx
import pytest
import urllib3
from flask import Flask, copy_current_request_context
from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.trace import SpanKind, StatusCode

from dashcam.stack.ports import free_port
from observability.testing import capture

COUNT = "http_client_request_duration_seconds_count"


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, str]]]]:
    seen: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(dict(self.headers))
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            seen.append(dict(self.headers))
            flaky = self.path.startswith("/flaky") and len(seen) < 3
            self.send_response(503 if flaky else 404 if "missing" in self.path else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}", seen
        running.shutdown()
        thread.join()


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager() as manager:
        yield manager


def test_a_call_is_a_client_span_that_passes_the_trace_on(
    app: Flask, instrumented: Any, server: Any, pool: urllib3.PoolManager
) -> None:
    url, seen = server
    with capture(instrumented(app)) as got:
        pool.request("GET", f"{url}/cars")
    (span,) = got.spans
    assert (span.name, span.kind) == ("GET", SpanKind.CLIENT)
    assert span.attributes["http.request.method"] == "GET"
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["url.full"] == f"{url}/cars"
    assert seen[0]["traceparent"].split("-")[1:3] == [
        f"{span.context.trace_id:032x}",
        f"{span.context.span_id:016x}",
    ]


def test_an_answered_call_is_measured_with_an_exemplar(
    app: Flask, instrumented: Any, server: Any, pool: urllib3.PoolManager
) -> None:
    url, _ = server
    with capture(instrumented(app)) as got:
        pool.request("GET", f"{url}/missing")
    labels = {"http_response_status_code": "404", "server_address": "127.0.0.1", "http_request_method": "GET"}
    assert got.sample(COUNT, **labels) == 1
    assert got.sample(COUNT, server_port=url.rpartition(":")[2]) == 1
    assert got.exemplars("http_client_request_duration_seconds_bucket", **labels)


def test_a_call_without_an_answer_is_an_error_and_is_measured_once(
    app: Flask, instrumented: Any, pool: urllib3.PoolManager
) -> None:
    port = free_port()
    retries = urllib3.Retry(2, backoff_factor=0)
    with capture(instrumented(app)) as got, pytest.raises(urllib3.exceptions.MaxRetryError):
        pool.request("GET", f"http://127.0.0.1:{port}/", retries=retries)
    (span,) = got.spans
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "urllib3.exceptions.MaxRetryError"
    assert got.sample(COUNT) == 1
    assert got.sample(COUNT, error_type="urllib3.exceptions.MaxRetryError", server_port=str(port)) == 1
    assert got.exemplars("http_client_request_duration_seconds_bucket")


def test_retries_and_redirects_are_one_call(
    app: Flask, instrumented: Any, server: Any, pool: urllib3.PoolManager
) -> None:
    url, seen = server
    retries = urllib3.Retry(5, status_forcelist=[503], backoff_factor=0)
    with capture(instrumented(app)) as got:
        assert pool.request("GET", f"{url}/flaky", retries=retries).status == 200
    assert len(seen) == 3
    assert len(got.spans) == 1
    assert got.sample(COUNT) == 1


def by_urllib(url: str) -> None:
    urllib.request.urlopen(url, timeout=10).close()


def by_httpx(url: str) -> None:
    httpx.get(url, timeout=10)


def by_aiohttp(url: str) -> None:
    async def get() -> None:
        async with aiohttp.ClientSession() as session, session.get(url):
            pass

    asyncio.run(get())


def by_httpx_async(url: str) -> None:
    async def get() -> None:
        async with httpx.AsyncClient() as client:
            await client.get(url)

    asyncio.run(get())


@pytest.mark.parametrize("by", ["dashcam", "official"])
@pytest.mark.parametrize(
    "call", [by_urllib, by_httpx, by_httpx_async, by_aiohttp], ids=lambda call: call.__name__
)
def test_other_clients_leave_spans_and_pass_the_trace_on(
    app: Flask, instrumented: Any, server: Any, call: Callable[[str], None], by: str
) -> None:
    url, seen = server
    with capture(instrumented(app, instrumentation=by)) as got:
        call(f"{url}/cars?token=hunter22")
    (span,) = got.spans
    assert span.kind is SpanKind.CLIENT
    assert span.attributes["http.response.status_code"] == 200
    assert "hunter22" not in str(span.attributes)
    passed = {name.lower(): value for name, value in seen[0].items()}["traceparent"]
    assert passed.split("-")[1:3] == [f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"]
    assert got.sample(COUNT, http_response_status_code="200") == 1


@pytest.mark.parametrize("made", [str, urllib.request.Request])
def test_a_file_that_urllib_sends_is_sent_and_the_trace_goes_on(
    app: Flask, instrumented: Any, server: Any, made: Callable[[str], Any]
) -> None:
    url, seen = server
    opener = urllib.request.build_opener()
    opener.addheaders.append(("Content-Length", "3"))
    with capture(instrumented(app)) as got, trace.get_tracer("test").start_as_current_span("sends"):
        assert opener.open(made(url), io.BytesIO(b"abc"), timeout=10).read() == b"abc"
        assert opener.open(made(url), b"xyz", timeout=10).read() == b"xyz"
    of_the_file, of_bytes = ({k.lower(): v for k, v in one.items()}["traceparent"] for one in seen)
    called, sends = got.spans
    assert of_the_file[3:52] == f"{sends.context.trace_id:032x}-{sends.context.span_id:016x}"
    assert of_bytes[3:52] == f"{sends.context.trace_id:032x}-{called.context.span_id:016x}"


def test_the_time_limit_of_sockets_holds_for_urllib_too(app: Flask, instrumented: Any) -> None:
    before = socket.getdefaulttimeout()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        instrumented(app)
        hangs_up = threading.Timer(10, silent.close)  # else a call without a limit would wait for ever
        hangs_up.start()
        socket.setdefaulttimeout(0.1)
        try:
            with pytest.raises(TimeoutError):
                urllib.request.build_opener().open(url)
        finally:
            socket.setdefaulttimeout(before)
            hangs_up.cancel()


def test_an_instrumentation_that_does_not_work_leaves_its_client_alone(
    app: Flask, instrumented: Any, server: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    url, _ = server
    monkeypatch.setattr("opentelemetry.instrumentation.httpx.HTTPXClientInstrumentor", None)
    telemetry = instrumented(app)
    with capture(telemetry) as got:
        by_httpx(url)
        by_urllib(url)
    assert "httpx is not instrumented" in caplog.text
    assert len(got.spans) == 1
    telemetry.shutdown()


def test_an_instrumentation_that_refuses_a_release_is_not_taken_out_at_the_end(
    app: Flask, instrumented: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(
        HTTPXClientInstrumentor, "instrumentation_dependencies", lambda self: ("httpx >= 1000",)
    )
    instrumented(app).shutdown()
    assert "while already uninstrumented" not in caplog.text


def test_an_instrumentation_that_somebody_installed_by_himself_is_left_to_him(
    app: Flask, instrumented: Any, server: Any
) -> None:
    theirs = HTTPXClientInstrumentor()
    theirs.instrument()
    try:
        instrumented(app).shutdown()
        assert theirs.is_instrumented_by_opentelemetry
    finally:
        theirs.uninstrument()


def test_a_pool_of_threads_and_what_was_given_the_request_go_on_in_its_trace(
    app: Flask, instrumented: Any, server: Any, pool: urllib3.PoolManager
) -> None:
    url, _ = server
    ids: list[int] = []

    def in_thread() -> None:
        ids.append(trace.get_current_span().get_span_context().trace_id)

    @app.get("/")
    def view() -> str:
        with ThreadPoolExecutor(1) as executor:
            executor.submit(pool.request, "GET", url).result()
        thread = threading.Thread(target=copy_current_request_context(in_thread))
        thread.start()
        thread.join()
        return "done"

    with capture(instrumented(app)) as got:
        app.test_client().get("/")
    called, served = got.spans
    assert called.parent.span_id == served.context.span_id
    assert ids == [served.context.trace_id]


def test_a_secret_in_a_url_stays_out_of_the_span(
    app: Flask, instrumented: Any, pool: urllib3.PoolManager
) -> None:
    url = f"http://ada:hunter22@127.0.0.1:{free_port()}/x?token=hunter22"
    with capture(instrumented(app)) as got, pytest.raises(urllib3.exceptions.MaxRetryError):
        pool.request("GET", url, retries=urllib3.Retry(0))
    assert "hunter22" not in got.spans[0].attributes["url.full"]
