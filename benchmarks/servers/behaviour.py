"""What a server does with what goes wrong in real life; each check answers a short text for the table."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Callable

from benchmarks.servers.process import Server

THREADS = 4
STOP_SECONDS = 20.0


def _get(path: str, extra: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n{extra}\r\n".encode()


def _upload(length: int) -> bytes:
    return f"POST /length HTTP/1.1\r\nHost: bench\r\nContent-Length: {length}\r\n\r\n".encode()


def _answer(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError as error:
        return type(error).__name__.encode()


def _status(server: Server, request: bytes) -> str:
    with server.connect() as connection:
        with contextlib.suppress(OSError):  # refused while it is still sent: the answer, if any, says why
            connection.sendall(request)
        first = _answer(connection).split(b"\r\n")[0]
    return first.removeprefix(b"HTTP/1.1 ").decode(errors="replace")[:40] or "closed"


def in_flight_at_sigterm(server: Server) -> str:
    """A request that takes 2 s, SIGTERM after 0.5 s; then a new connection."""
    with server.connect() as busy:
        busy.settimeout(5)
        busy.sendall(_get("/sleep/2.0"))
        time.sleep(0.5)
        began = time.monotonic()
        server.terminate()
        time.sleep(0.2)
        try:
            new = "new answered" if b"200" in _try(server) else "new left hanging"
        except ConnectionError:
            new = "new refused"
        finished = "finished" if b"slept" in _read_all(busy) else "cut off"
    code = server.wait(STOP_SECONDS)
    return f"{finished}, {new}, exit {code} after {time.monotonic() - began:.1f} s"


def half_a_request_at_sigterm(server: Server) -> str:
    """A client that sent half of its headers, and one half of its body, and then nothing."""
    with server.connect() as head, server.connect() as body:
        head.sendall(b"GET /pid HTTP/1.1\r\nHost: bench\r\n")
        body.sendall(_upload(100) + b"abc")
        time.sleep(0.2)
        began = time.monotonic()
        server.terminate()
        code = server.wait(STOP_SECONDS)
    took = time.monotonic() - began
    return f"exit {code} after {took:.1f} s" if code is not None else f"still there after {took:.0f} s"


def slow_heads(server: Server) -> str:
    """More clients than threads that send half of their headers: are others still answered?"""
    return _with_stuck(server, b"GET /pid HTTP/1.1\r\nHost: bench\r\n")


def slow_bodies(server: Server) -> str:
    """The same with half of a body."""
    return _with_stuck(server, _upload(100) + b"abc")


def idle_connections(server: Server) -> str:
    """100 open connections with nothing on them."""
    return _with_stuck(server, b"", clients=100)


def _with_stuck(server: Server, request: bytes, clients: int = 2 * THREADS) -> str:
    stuck = [server.connect() for _ in range(clients)]
    try:
        for connection in stuck:
            connection.sendall(request)
        time.sleep(0.3)
        began = time.monotonic()
        answered = b"200" in _try(server)
        return f"others answered in {1000 * (time.monotonic() - began):.0f} ms" if answered else "others wait"
    finally:
        for connection in stuck:
            connection.close()


def _try(server: Server) -> bytes:
    with server.connect() as connection:
        connection.sendall(_get("/pid"))
        return _answer(connection)


def _read_all(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"slept"):
        part = _answer(connection)
        received += part
        if not part or b"rror" in part or b"imeout" in part:
            break
    return received


def keep_alive(server: Server) -> str:
    """Two requests on one connection."""
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=2)
    with contextlib.closing(client):
        for _ in range(2):
            client.request("GET", "/pid")
            client.getresponse().read()
            if client.sock is None:
                return "no"
    return "yes"


def head(server: Server) -> str:
    """HEAD: the length without the body."""
    with server.connect() as connection:
        connection.sendall(b"HEAD /pid HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
        headers, _, rest = _answer(connection).partition(b"\r\n\r\n")
    return ("length kept" if b"content-length" in headers.lower() else "no length") + (
        ", body!" if rest else ""
    )


def large_upload(server: Server) -> str:
    """50 MB in one request."""
    with server.connect() as connection:
        connection.settimeout(20)
        connection.sendall(_upload(50_000_000))
        connection.sendall(b"x" * 50_000_000)
        return "counted" if b"50000000" in _answer(connection) + _answer_if_any(connection) else "failed"


def _answer_if_any(connection: socket.socket) -> bytes:
    connection.settimeout(0.5)
    return _answer(connection)


def large_head(server: Server) -> str:
    """The largest header of 8, 64, 256 and 1024 KB that is taken, and the answer to the next."""
    taken, refusal = 0, ""
    for kilobytes in (8, 64, 256, 1024):
        status = _status(server, _get("/pid", f"X-Large: {'x' * kilobytes * 1000}\r\n"))
        if not status.startswith("200"):
            refusal = status
            break
        taken = kilobytes
    return f"{taken} KB, then {refusal}" if refusal else f"{taken} KB and more"


def client_leaves(server: Server) -> str:
    """A client that leaves in the middle of an endless answer, more often than there are threads."""
    for _ in range(2 * THREADS):
        with server.connect() as connection:
            connection.sendall(_get("/endless"))
            _answer(connection)
    time.sleep(1)
    before = server.cpu()
    answered = b"200" in _try(server)
    time.sleep(0.5)
    busy = server.cpu() - before > 0.25
    return ("threads free again" if answered else "threads lost") + (", goes on computing" if busy else "")


CHECKS: dict[str, Callable[[Server], str]] = {
    "SIGTERM with a request in flight": in_flight_at_sigterm,
    "SIGTERM with half-sent requests": half_a_request_at_sigterm,
    "8 half-sent heads (4 threads)": slow_heads,
    "8 half-sent bodies (4 threads)": slow_bodies,
    "100 idle connections": idle_connections,
    "keep-alive": keep_alive,
    "HEAD": head,
    "50 MB upload": large_upload,
    "large header": large_head,
    "client leaves mid-answer": client_leaves,
}
"""Each runs against a fresh server with THREADS threads."""


def observe(name: str) -> dict[str, str]:
    """All checks against the server of this name."""
    seen = {}
    for label, check in CHECKS.items():
        with Server(name, THREADS) as server:
            seen[label] = check(server)
    return seen
