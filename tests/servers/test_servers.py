"""Any server, by the same one line: no fight for a port, right sums, exemplars, nothing lost at the end.

A row of the table in observability/README.md is a row here, by its first column.
"""

from __future__ import annotations

import contextlib
import http.server
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from polling import until

from dashcam.stack.ports import free_ports

pytestmark = pytest.mark.takes(90)

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BIN = Path(sys.executable).parent
REQUESTS = 60
GUNICORN = [BIN / "gunicorn", "--bind", "127.0.0.1:{port}", "--no-control-socket", "shop:app"]

INTERRUPTED = {"Flask's development server with its reloader", "waitress"}
"""Ended with Ctrl-C: they leave SIGTERM to the system, which ends them where they are."""

ROWS: dict[str, tuple[list[Any], int]] = {
    "Flask's development server with its reloader": ([sys.executable, "-P", HERE / "shop.py"], 1),
    "waitress": ([BIN / "waitress-serve", "--listen", "127.0.0.1:{port}", "shop:app"], 1),
    "gunicorn sync": ([*GUNICORN], 1),
    "gunicorn sync -w 2": ([*GUNICORN, "-w", "2"], 2),
    "gunicorn sync -w 2 --preload": ([*GUNICORN, "-w", "2", "--preload"], 2),
    "gunicorn gthread -w 2": ([*GUNICORN, "-w", "2", "-k", "gthread", "--threads", "4"], 2),
    "gunicorn gthread -w 2 --preload": (
        [*GUNICORN, "-w", "2", "-k", "gthread", "--threads", "4", "--preload"],
        2,
    ),
    "gunicorn gevent -w 2": ([*GUNICORN, "-w", "2", "-k", "gevent"], 2),
    "granian --workers 2": (
        [BIN / "granian", "--interface", "wsgi", "--port", "{port}", "--workers", "2", "shop:app"],
        2,
    ),
}
"""The command of each server, and in how many processes it answers."""


class Receiver:
    """An OTLP/HTTP receiver that keeps the trace ids of the server spans."""

    def __init__(self) -> None:
        received: list[str] = []
        lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                batch = ExportTraceServiceRequest.FromString(body)
                with lock:
                    received.extend(
                        span.trace_id.hex()
                        for resource in batch.resource_spans
                        for scope in resource.scope_spans
                        for span in scope.spans
                        if span.name == "GET /order"
                    )
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self.received = received
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Served:
    """A server that runs the shop, and where it is asked."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, admin: int) -> None:
        self.process, self.port, self.admin = process, port, admin
        self._http = urllib3.PoolManager(maxsize=8, retries=False)

    def order(self, _: int = 0) -> int:
        """Place an order, on a connection of its own; the process that took it."""
        answer = self._http.request(
            "GET", f"http://127.0.0.1:{self.port}/order", headers={"Connection": "close"}, timeout=20
        )
        assert answer.status == 200, answer.data
        return int(answer.json()["pid"])

    def ask(self, path: str, *, port: int = 0, **headers: str) -> urllib3.BaseHTTPResponse:
        return self._http.request(
            "GET", f"http://127.0.0.1:{port or self.admin}{path}", headers=headers, timeout=20
        )


@contextlib.contextmanager
def served(command: list[Any], receiver: Receiver, folder: Path) -> Iterator[Served]:
    port, admin = free_ports(2)
    environ = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{HERE}",
        "PORT": str(port),
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(admin),
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
    }
    told = [str(part).format(port=port) for part in command]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            told, cwd=folder, env=environ, stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield Served(process, port, admin)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def total(page: str, name: str) -> float:
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*?}})? (\S+)", page, re.MULTILINE))


@pytest.mark.parametrize("row", ROWS)
def test_a_server_needs_the_one_line_and_nothing_else(row: str, receiver: Receiver, tmp_path: Path) -> None:
    command, processes = ROWS[row]
    with served(command, receiver, tmp_path) as shop:

        def said() -> str:
            return f"{row} to be ready; it said: {(tmp_path / 'output').read_text()[-3000:]}"

        until(lambda: shop.ask("/readyz").status == 200 and shop.order(), said, within=60)
        with ThreadPoolExecutor(4) as pool:
            pids = list(pool.map(shop.order, range(REQUESTS - 1)))
            while len(set(pids)) < processes and len(pids) < 50 * REQUESTS:
                pids += pool.map(shop.order, range(REQUESTS))
        asked = len(pids) + 1
        assert len(set(pids)) == processes

        def counted() -> str | None:  # a response is out a moment before it is counted
            page = shop.ask("/metrics").data.decode()
            return page if total(page, "http_server_request_duration_seconds_count") >= asked else None

        page = until(counted, "all requests to be counted")
        assert total(page, "http_server_request_duration_seconds_count") == asked
        assert total(page, "orders_placed_total") == asked
        assert total(page, "log_records_total") >= asked
        text = shop.ask("/metrics", Accept="application/openmetrics-text").data.decode()
        assert re.search(
            r'^orders_placed_total{.*} \S+ # {span_id=".{16}",trace_id=".{32}"}', text, re.MULTILINE
        )
        if row in INTERRUPTED:
            os.killpg(shop.process.pid, signal.SIGINT)
        else:
            shop.process.send_signal(signal.SIGTERM)
        shop.process.wait(30)
        until(lambda: len(receiver.received) >= asked, "the last spans", within=10)
        assert len(receiver.received) == len(set(receiver.received)) == asked
    output = (tmp_path / "output").read_text()
    assert "cannot be used" not in output
    assert "spans of this process were lost" not in output


def test_a_worker_that_is_replaced_takes_no_count_along(receiver: Receiver, tmp_path: Path) -> None:
    command = [*GUNICORN, "-w", "2", "--preload"]
    with served(command, receiver, tmp_path) as shop:
        until(lambda: shop.ask("/readyz").status == 200 and shop.order(), "the shop", within=60)
        pids = {shop.order() for _ in range(30)}
        before = total(shop.ask("/metrics").data.decode(), "orders_placed_total")
        os.kill(pids.pop(), signal.SIGKILL)
        assert until(shop.order, "another worker", within=30)
        assert total(shop.ask("/metrics").data.decode(), "orders_placed_total") >= before + 1
        shop.process.terminate()
        shop.process.wait(30)


IN_CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n"
CUT_SHORT = {
    "a length that is too long": b"Content-Length: 10\r\n\r\nabc",
    "no body at all": IN_CHUNKS,
    "no last chunk": IN_CHUNKS + b"3\r\nabc\r\n",
    "no blank line after the last chunk": IN_CHUNKS + b"3\r\nabc\r\n0\r\n",
    "half of a chunk": IN_CHUNKS + b"a\r\nabc",
    "a chunk of no size": IN_CHUNKS + b"zz\r\nabc\r\n0\r\n\r\n",
}
MALFORMED = {
    "a length that is no number": b"Content-Length: abc\r\n\r\nabc",
    "a negative length": b"Content-Length: -3\r\n\r\nabc",
    "an unknown coding": b"Transfer-Encoding: gzip\r\n\r\nabc",
    "two hosts": b"Host: elsewhere\r\nContent-Length: 3\r\n\r\nabc",
}
FORMS = [
    "Flask's development server with its reloader",
    "waitress",
    "gunicorn sync",
    "gunicorn gthread -w 2",
    "gunicorn gevent -w 2",
    "granian --workers 2",
]


def said(port: int, request: bytes, *, leave: bool) -> int:
    """The status of the answer to a request, 0 where there is none; `leave` closes the sending side."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"POST /note HTTP/1.1\r\nConnection: close\r\n" + request)
        if leave:
            connection.shutdown(socket.SHUT_WR)
        try:
            answer = connection.recv(4096)
        except ConnectionResetError:
            return 0
    return int(answer.split()[1]) if answer else 0


@pytest.mark.parametrize("row", FORMS)
def test_a_body_that_ends_before_its_framing_says_so_is_never_taken_for_whole(
    row: str, receiver: Receiver, tmp_path: Path
) -> None:
    command, _ = ROWS[row]
    with served(
        [part for part in command if part not in ("-w", "--workers", "2")], receiver, tmp_path
    ) as shop:
        until(lambda: shop.ask("/readyz").status == 200 and shop.order(), "the shop", within=60)
        host = b"Host: localhost\r\n"
        cut = {name: said(shop.port, host + part, leave=True) for name, part in CUT_SHORT.items()}
        wrong = {name: said(shop.port, host + part, leave=False) for name, part in MALFORMED.items()}
        wrong["no host"] = said(shop.port, b"Content-Length: 3\r\n\r\nabc", leave=False)
        assert shop.ask("/notes", port=shop.port).json() == []
        in_chunks = said(shop.port, host + IN_CHUNKS + b"3\r\nabc\r\n0\r\n\r\n", leave=False)
        assert said(shop.port, host + b"Content-Length: 3\r\n\r\ndef", leave=False) == 200
        notes = shop.ask("/notes", port=shop.port).json()
    granian = row.startswith("granian")
    # granian cannot tell; waitress has seen its client go, and there is nobody to answer.
    assert set(cut.values()) <= ({400, 411} if granian else {0, 400} if row == "waitress" else {400}), cut
    assert set(wrong.values()) <= ({400, 501} if row == "waitress" else {400}), wrong
    assert (in_chunks, notes) == ((411, ["def"]) if granian else (200, ["abc", "def"]))
