"""Request bodies that are whole, or an error.

The server hands a body on while it still arrives, and ends it in the same way whether all of it came or
the client left in the middle. An application would take the half for the whole. Here the half is a 400
(werkzeug's ClientDisconnected, raised where the application reads); a request without a body costs one
look-up.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from werkzeug.exceptions import ClientDisconnected

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

CHUNK = 64 * 1024
"""Bytes that are read at once."""


class Readable(Protocol):
    """The server's body: `read` waits for `size` bytes or the end."""

    def read(self, size: int, /) -> bytes: ...


def whole(app: Wsgi) -> Wsgi:
    """`app` with bodies that are as long as their Content-Length says."""

    def with_whole_body(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH")
        if length:
            environ["wsgi.input"] = io.BufferedReader(Body(environ["wsgi.input"], int(length)), CHUNK)
        return app(environ, start_response)

    return with_whole_body


class Body(io.RawIOBase):
    """The `length` bytes of `source`; raises ClientDisconnected where it ends before."""

    def __init__(self, source: Readable, length: int) -> None:
        self._source = source
        self._missing = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._chunk(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self._chunk(CHUNK), b""))

    def _chunk(self, size: int) -> bytes:
        if not self._missing:
            return b""
        chunk = self._source.read(min(size, self._missing))
        if not chunk:
            raise ClientDisconnected(f"The body ended {self._missing} bytes before its Content-Length.")
        self._missing -= len(chunk)
        return chunk
