"""No more than a share of the threads for clients that send their bodies slowly.

The server hands a body on while it still arrives. A client that stalls in the middle of one holds the thread
that reads it until it leaves: the server can neither give a read up nor tell which connection it is, and a
read that is left behind in another thread stops the whole worker. So a :class:`Gate` bounds how many threads
wait for bodies at once. Where all of these wait, one more body is a 503 whose error names who is waited for,
and the other threads go on answering.

A request without a body costs two look-ups.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.exceptions import ServiceUnavailable

from observability.http.framing import Readable, Wsgi

PATIENCE = 0.25
"""Seconds that a body may wait for its turn: bodies that come as fast as usual take a small part of that."""


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


def gated(app: Wsgi, gate: Gate) -> Wsgi:
    """`app` with bodies that pass the `gate`."""

    def with_gated_body(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("CONTENT_LENGTH") or "HTTP_TRANSFER_ENCODING" in environ:
            client = f"{environ.get('REMOTE_ADDR', '')} ({environ.get('HTTP_USER_AGENT', '')[:100]})"
            environ["wsgi.input"] = _Gated(environ["wsgi.input"], gate, client)
        return app(environ, start_response)

    return with_gated_body


class _Gated:
    """The body of `client`, each read of which waits for its turn."""

    def __init__(self, source: Readable, gate: Gate, client: str) -> None:
        self._source = source
        self._gate = gate
        self._client = client

    def read(self, size: int, /) -> bytes:
        with self._gate.waiting(self._client):
            return self._source.read(size)
