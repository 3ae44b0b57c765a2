"""A port serves its clients whatever some of them hold: descriptors, connections, half a head or body."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from polling import until

from dashcam.store import connections
from dashcam.store.http_server import HttpServer

MIB = 2**20


class Served:
    """A server whose `/slow` waits for `gate`, and answers with the body's length otherwise."""

    def __init__(self, **options: Any) -> None:
        self.gate = threading.Event()
        self.server = HttpServer(self.app, host="127.0.0.1", port=0, threads=2, **options)
        self.server.start()
        self.address = f"http://127.0.0.1:{self.server.port}"

    def app(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/slow":
            self.gate.wait(20)
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x" * int(environ["QUERY_STRING"] or 0) or str(len(body)).encode()]

    def connect(self, sent: bytes = b"") -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.server.port), timeout=10)
        made.sendall(sent)
        return made

    @property
    def held(self) -> int:
        return int(self.server._server.held)

    @property
    def one_read(self) -> int:
        """What may have come in before another upload gives way for it."""
        return int(self.server._server.adj.recv_bytes)

    def answers(self, path: str = "/") -> bool:
        return httpx.get(self.address + path, timeout=5).status_code == 200


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.gate.set()
    made.server.stop(1)


def test_more_than_1024_descriptors_do_not_end_it(served: Served) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with ExitStack() as held:
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1100):
            held.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        assert served.answers()
        assert served.server.alive


def test_idle_connections_give_way(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS", 20)
    with ExitStack() as held:
        idle = [held.enter_context(closing(served.connect())) for _ in range(40)]
        assert served.answers()
        assert idle[0].recv(1) == b""  # the one that was idle longest


def test_half_open_heads_give_way(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS", 20)
    with ExitStack() as held:
        for _ in range(40):
            held.enter_context(closing(served.connect(b"POST / HTTP/1.1\r\nHost: lo")))
        assert served.answers()


@pytest.mark.parametrize(
    ("sent", "limit"),
    [
        (b"POST / HTTP/1.1\r\nHost: lo", "HEAD_SECONDS"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf", "UPLOAD_SECONDS"),
    ],
)
def test_a_request_that_dribbles_gets_a_408(
    served: Served, monkeypatch: pytest.MonkeyPatch, sent: bytes, limit: str
) -> None:
    monkeypatch.setattr(connections, limit, 0.3)
    with closing(served.connect(sent)) as slow:
        assert slow.recv(100).startswith(b"HTTP/1.0 408" if b"Length" not in sent else b"HTTP/1.1 408")
        assert until(lambda: not served.server._server.active_channels, "the connection to be closed")


def test_health_is_answered_while_every_thread_is_busy(served: Served) -> None:
    with ExitStack() as held:
        for _ in range(6):
            held.enter_context(closing(served.connect(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")))
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(served.address + "/", timeout=0.5)
        assert served.answers("/livez")
        assert served.answers("/readyz")


def test_uploads_that_take_longest_give_way_to_those_that_come() -> None:
    served = Served(max_body=4 * MIB, body_bytes=8 * MIB)
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (4 * MIB - 1)
    try:
        with ExitStack() as held:
            slow = [held.enter_context(closing(served.connect(head + b"x" * (3 * MIB)))) for _ in range(6)]
            until(lambda: served.held > 4 * MIB, lambda: f"the uploads to arrive, {served.held} are held")
            assert served.held <= 8 * MIB + served.one_read
            assert slow[0].recv(100).startswith(b"HTTP/1.1 503")
            answer = httpx.post(served.address, content=b"y" * (3 * MIB), timeout=10)
            assert (answer.status_code, answer.text) == (200, str(3 * MIB))
        until(lambda: served.held == 0, lambda: f"everything to be let go, {served.held} are held")
    finally:
        served.server.stop(1)


def test_bodies_that_wait_for_a_thread_count_too() -> None:
    served = Served(max_body=4 * MIB, body_bytes=8 * MIB)
    head = b"POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (3 * MIB)
    try:
        with ExitStack() as held:
            first, second, third = (held.enter_context(closing(served.connect(head))) for _ in range(3))
            for client in (first, second):
                client.sendall(b"x" * (3 * MIB))
            until(lambda: served.held == 6 * MIB, lambda: f"two whole bodies, {served.held} bytes are held")
            third.sendall(b"x" * (2 * MIB + 1))
            assert third.recv(100).startswith(b"HTTP/1.1 503")
            assert served.held <= 8 * MIB + served.one_read
            served.gate.set()
            assert first.recv(100).startswith(b"HTTP/1.1 200")
    finally:
        served.server.stop(1)


def test_an_answer_that_nobody_reads_is_dropped(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "UNREAD_SECONDS", 0.5)
    with closing(served.connect(b"GET /?30000000 HTTP/1.1\r\nHost: localhost\r\n\r\n")):
        until(lambda: served.server._server.active_channels, "the connection")
        until(lambda: not served.server._server.active_channels, "the connection to be closed", within=10)
        assert served.answers()


@pytest.mark.parametrize("sent", [b"5;" + b"x" * 70_000, b"0\r\n" + b"X: y\r\n" * 20_000])
def test_a_chunk_without_an_end_is_refused(served: Served, sent: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with closing(served.connect(head + sent)) as client:
        assert client.recv(100).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("part", ["TailThread.poll", "Writer._take"])
def test_a_thread_that_dies_ends_the_receiver(tmp_path: Path, part: str) -> None:
    program = f"""
import sys
from dashcam.store import receiver
def die(*_): raise KeyError("a fault of ours")
receiver.{part} = die
sys.exit(receiver.main())
"""
    environ = {"DASHCAM_STATE_DIR": str(tmp_path), "OTLP_GRPC_PORT": "0", "OTLP_HTTP_PORT": "0"}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | environ, capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 1
    assert "thread has ended" in ended.stdout


def test_a_port_that_is_taken_leaves_no_socket_and_no_thread() -> None:
    def open_ones() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    with socket.create_server(("127.0.0.1", 0)) as other:
        before = open_ones()
        with pytest.raises(OSError, match="in use"):
            HttpServer(lambda *_: [], host="127.0.0.1", port=other.getsockname()[1], threads=3)
        until(lambda: open_ones() == before, lambda: f"{before} to be as before: {open_ones()}")
