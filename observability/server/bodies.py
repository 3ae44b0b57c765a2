"""Request bodies that are whole, or an error; and no more than a share of the threads for slow clients.

The server hands a body on while it still arrives, and ends it in the same way whether all of it came or
the client left in the middle. An application would take the half for the whole. Here the half is a 400
(werkzeug's ClientDisconnected, raised where the application reads).

A client that stalls in the middle of a body holds the thread that reads it until it leaves: the server can
neither give a read up nor tell which connection it is, and a read that is left behind in another thread
stops the whole worker. So a :class:`Gate` bounds how many threads wait for bodies at once. Where all of these
wait, one more body is a 503 whose error names who is waited for, and the other threads go on answering.

A request without a body costs two look-ups.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from werkzeug.exceptions import ClientDisconnected, ServiceUnavailable

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

CHUNK = 64 * 1024
"""Bytes that are read at once."""

PATIENCE = 0.25
"""Seconds that a body may wait for its turn: bodies that come as fast as usual take a small part of that."""


class Readable(Protocol):
    """The server's body: `read` waits for `size` bytes or the end."""

    def read(self, size: int, /) -> bytes: ...


class NoTurn(ServiceUnavailable):
    """No thread is left that may wait for one more body: a 503.

    The client is told that much; who is waited for (`waiting`) is only in the error's text, for telemetry.
    """

    def __init__(self, waiting: str) -> None:
        super().__init__(
            "Too many requests arrive slowly at this time. Ask again in a moment.", retry_after=1
        )
        self.waiting = waiting

    def __str__(self) -> str:
        return self.waiting


class Gate:
    """Lets `most` threads wait for bodies at once, and knows for whom."""

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)
        self._waiting: dict[int, tuple[float, str]] = {}

    @contextmanager
    def waiting(self, client: str) -> Iterator[None]:
        """Wait for `client` while the block lasts. Raises NoTurn where none comes in time."""
        if not self._free.acquire(timeout=PATIENCE):
            raise NoTurn(self._busy())
        thread = threading.get_ident()
        self._waiting[thread] = time.monotonic(), client
        try:
            yield
        finally:
            del self._waiting[thread]
            self._free.release()

    def _busy(self) -> str:
        waiting = sorted(self._waiting.copy().values())
        if not waiting:
            return "Too many bodies arrive at once."
        since, client = waiting[0]
        seconds = time.monotonic() - since
        return f"{len(waiting)} threads wait for slow clients to send, one for {seconds:.0f} s on {client}."


def whole(app: Wsgi, gate: Gate) -> Wsgi:
    """`app` with bodies that are as long as their Content-Length says, and that pass the `gate`."""

    def with_whole_body(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH")
        if length or "HTTP_TRANSFER_ENCODING" in environ:
            client = f"{environ.get('REMOTE_ADDR', '')} ({environ.get('HTTP_USER_AGENT', '')[:100]})"
            body = Body(environ["wsgi.input"], int(length) if length else None, gate, client)
            environ["wsgi.input"] = io.BufferedReader(body, CHUNK)
        return app(environ, start_response)

    return with_whole_body


class Body(io.RawIOBase):
    """The `length` bytes of `source`, all where it is None; raises ClientDisconnected where it ends early."""

    def __init__(self, source: Readable, length: int | None, gate: Gate, client: str = "") -> None:
        self._source = source
        self._missing = length
        self._gate = gate
        self._client = client

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._chunk(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self._chunk(CHUNK), b""))

    def _chunk(self, size: int) -> bytes:
        if self._missing is None:
            return self._read(size)
        if not self._missing:
            return b""
        chunk = self._read(min(size, self._missing))
        if not chunk:
            raise ClientDisconnected(f"The body ended {self._missing} bytes before its Content-Length.")
        self._missing -= len(chunk)
        return chunk

    def _read(self, size: int) -> bytes:
        with self._gate.waiting(self._client):
            return self._source.read(size)
