"""Requests that are as long as they say and name one host, or a 400 (RFC 9112, sections 3.2 and 6).

A client that leaves in the middle of a body must not be taken for one that sent all of it. What servers do
then differs: they end the body as if it were whole (granian, and gunicorn where there is a length), raise
errors of their own that would be a 500 (gunicorn and Flask's development server, in chunks), or drop the
request (waitress). Here the half is werkzeug's ClientDisconnected, raised where the application reads.

granian ends a body in chunks in one way whether all chunks came or not. So there its reader gets a 411, which
says what to do: send the body with its length.

A request without a body costs three look-ups.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from flask import Flask, request
from werkzeug.exceptions import BadRequest, ClientDisconnected, LengthRequired

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

CHUNK = 64 * 1024
"""Bytes that are read at once."""

_WHOLE = "observability.whole"
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.~%!$&'()*+;=-]+)(:\d*)?", re.ASCII)


class Readable(Protocol):
    """The server's body: `read` waits for `size` bytes or the end."""

    def read(self, size: int, /) -> bytes: ...


class Body(io.RawIOBase):
    """The `length` bytes of `source`, all where it is None; raises ClientDisconnected where it ends early."""

    def __init__(self, source: Readable, length: int | None) -> None:
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
        if self._missing == 0:
            return b""
        try:
            chunk = self._source.read(size if self._missing is None else min(size, self._missing))
        except Exception as error:
            # The connection's errors and the servers' own, of which gunicorn's are no OSErrors.
            if isinstance(error, OSError) or type(error).__module__ == "gunicorn.http.errors":
                raise ClientDisconnected(f"The body is not whole: {error}") from error
            raise
        if self._missing is not None:
            if not chunk:
                raise ClientDisconnected(f"The body ended {self._missing} bytes before its Content-Length.")
            self._missing -= len(chunk)
        return chunk


class Unending:
    """A body in chunks of which nobody can tell whether it is whole."""

    def read(self, size: int, /) -> bytes:
        raise LengthRequired(
            "Send the body with a Content-Length: in chunks, one that broke off looks like a whole one here."
        )


def whole(app: Wsgi) -> Wsgi:
    """`app` with bodies that are as long as their framing says."""

    def with_whole_body(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH") or ""
        chunks = "HTTP_TRANSFER_ENCODING" in environ
        if (length or chunks) and _WHOLE not in environ:
            environ[_WHOLE] = True
            source = environ["wsgi.input"]
            if chunks and environ.get("SERVER_SOFTWARE") == "Granian":
                source = Unending()
            body = Body(source, None if chunks or not _decimal(length) else int(length))
            environ["wsgi.input"] = io.BufferedReader(body, CHUNK)
        return app(environ, start_response)

    return with_whole_body


def install(app: Flask) -> None:
    """Let the views of `app` see requests that are well framed, and answer others with an error."""
    app.wsgi_app = whole(app.wsgi_app)  # type: ignore[assignment, method-assign]
    app.before_request(_well_framed)


def _well_framed() -> None:
    environ = request.environ
    length, coding = environ.get("CONTENT_LENGTH"), environ.get("HTTP_TRANSFER_ENCODING")
    if length and not _decimal(length):
        raise BadRequest("Content-Length is no number.")
    if coding is not None and (length or coding.strip().lower() != "chunked"):
        raise BadRequest("Transfer-Encoding can only be `chunked`, without a Content-Length.")
    if wrong := host_mistake(environ.get("HTTP_HOST"), environ.get("SERVER_PROTOCOL")):
        raise BadRequest(wrong)


def host_mistake(host: str | None, protocol: str | None) -> str | None:
    """What is wrong with a Host header, of several the values by comma; None for a good one."""
    if not host:
        # From granian, an empty one is also one that is not there, as HTTP/1.0 allows.
        return "The Host header is missing." if protocol == "HTTP/1.1" else None
    return None if _HOST.fullmatch(host) else "There is one Host header, with one host and its port."


def _decimal(text: str) -> bool:
    # No body has 10**18 bytes, and int() raises from 4,301 digits on.
    return text.isascii() and text.isdecimal() and len(text) < 19
