"""Request bodies that end: whole, or with an error, and in time.

The server hands a body on while it still arrives. A client that stops in the middle would hold the thread
that reads it for as long as it likes, and one that leaves in the middle would look like one that sent
less. Here the first becomes a 408 and the second a 400 (werkzeug's exceptions, raised where the
application reads); a request without a body costs two look-ups.
"""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from werkzeug.exceptions import ClientDisconnected, RequestTimeout

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

CHUNK = 64 * 1024
"""Bytes that are read at once, and that a client has the time limit for."""


class Readable(Protocol):
    """The server's body: `read` waits for `size` bytes or the end."""

    def read(self, size: int, /) -> bytes: ...


def bounded(app: Wsgi, seconds: float) -> Wsgi:
    """`app` with bodies of which each 64 KiB arrive within `seconds`."""

    def with_bounded_body(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH")
        if length or "HTTP_TRANSFER_ENCODING" in environ:
            body = Body(environ["wsgi.input"], int(length) if length else None, seconds)
            environ["wsgi.input"] = io.BufferedReader(body, CHUNK)
        return app(environ, start_response)

    return with_bounded_body


class Body(io.RawIOBase):
    """A body of `length` bytes (None: as long as it is) that is read in bounded time."""

    def __init__(self, source: Readable, length: int | None, seconds: float) -> None:
        self._source = source
        self._missing = length
        self._seconds = seconds
        self._stuck = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._chunk(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self._chunk(CHUNK), b""))

    def _chunk(self, size: int) -> bytes:
        if self._missing == 0:
            return b""
        chunk = self._in_time(size if self._missing is None else min(size, self._missing))
        if self._missing is not None:
            if not chunk:
                raise ClientDisconnected(f"The body ended {self._missing} bytes before its Content-Length.")
            self._missing -= len(chunk)
        return chunk

    def _in_time(self, size: int) -> bytes:
        """One read of the source, in a thread of its own: nothing else could be left behind."""
        answer: queue.SimpleQueue[bytes | BaseException] = queue.SimpleQueue()

        def read() -> None:
            try:
                answer.put(self._source.read(size))
            except BaseException as error:
                answer.put(error)

        if not self._stuck:
            threading.Thread(target=read, name="body", daemon=True).start()
        try:
            got = answer.get(timeout=0 if self._stuck else self._seconds)
        except queue.Empty:
            self._stuck = True
            raise RequestTimeout(
                f"The body did not arrive: no {size} bytes in {self._seconds:g} s."
            ) from None
        if isinstance(got, BaseException):
            raise got
        return got
