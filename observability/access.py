"""The outermost layer of the application: the access line and the `traceresponse` header.

It stands outside the official instrumentation, so that it sees the body's end (a streaming body goes on
long after the view returned, and after the span has ended) and every response, whoever made it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from observability import redaction, schema
from observability.exceptions import SPAN_KEY
from observability.propagation import TRACE_RESPONSE, traceresponse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_logger = logging.getLogger("observability.access")

MAX_PATH = 1024
MAX_AGENT = 256
KNOWN_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}
)


class AccessLog:
    """WSGI middleware: one log line for each request when its last byte is out, and `traceresponse`."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = _Request(environ)
        # The instrumentation gives a span its url.path only where the server tells the request's target,
        # which PEP 3333 does not ask for and granian does not do.
        environ.setdefault("REQUEST_URI", environ.get("PATH_INFO") or "/")

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            request.answer(status, headers)
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        try:
            body = self._application(environ, start)
        except BaseException:
            request.failed()
            raise
        return _Body(body, request)


class _Request:
    """What is known about one request, and its one line."""

    def __init__(self, environ: WSGIEnvironment) -> None:
        self._environ = environ
        self._began = time.perf_counter()
        self._status = 0
        self._length: int | None = None
        self._route = schema.UNMATCHED_ROUTE
        self._done = False
        self.size = 0

    def answer(self, status: str, headers: list[tuple[str, str]]) -> None:
        """The response begins: remember its status and its route, add the header."""
        rule = getattr(self._environ.get("werkzeug.request"), "url_rule", None)
        if rule is not None:  # Flask forgets the request before the body is out
            self._route = rule.rule
        self._status = int(status[:3]) if status[:3].isdigit() else 0
        for name, value in headers:
            if name.lower() == "content-length" and value.isdigit():
                self._length = int(value)
        span = self._environ.get(SPAN_KEY)
        identity = traceresponse(span) if span is not None else None
        if identity is not None:
            headers.append((TRACE_RESPONSE, identity))

    @property
    def complete(self) -> bool:
        """Whether as many bytes went out as the response announced."""
        return self._length is not None and self.size >= self._length

    def failed(self) -> None:
        """The application or its body raised: the line says so and carries the exception."""
        self._status = self._status or 500
        self._write(logging.ERROR, exc_info=True)

    def finished(self) -> None:
        """The body is out, or the client went away."""
        status = self._status
        self._write(logging.ERROR if status >= 500 else logging.WARNING if status >= 400 else logging.INFO)

    def _write(self, level: int, exc_info: bool = False) -> None:
        if self._done:
            return
        self._done = True
        if not _logger.isEnabledFor(level):
            return
        method = self._environ.get("REQUEST_METHOD", "")
        method = method if method in KNOWN_METHODS else "_OTHER"
        path = self._path()
        _logger.log(
            level, "%s %s %d", method, path, self._status, extra=self._fields(method, path), exc_info=exc_info
        )

    def _path(self) -> str:
        # PEP 3333 hands the path's bytes over as Latin-1.
        raw = self._environ.get("SCRIPT_NAME", "") + self._environ.get("PATH_INFO", "")
        return redaction.text(raw.encode("latin-1", "replace").decode("utf-8", "replace")[:MAX_PATH])

    def _fields(self, method: str, path: str) -> dict[str, Any]:
        environ = self._environ
        found: dict[str, Any] = {
            "http.request.method": method,
            "http.route": self._route,
            "url.path": path,
            "http.response.status_code": self._status,
            "http.response.body.size": self.size,
            "http.server.request.duration": round(time.perf_counter() - self._began, 6),
            "client.address": environ.get("REMOTE_ADDR"),
        }
        if query := environ.get("QUERY_STRING"):
            found["url.query"] = query[:MAX_PATH]
        if agent := environ.get("HTTP_USER_AGENT"):
            found["user_agent.original"] = agent[:MAX_AGENT]
        span = environ.get(SPAN_KEY)
        context = span.get_span_context() if span is not None else trace.INVALID_SPAN_CONTEXT
        if context.is_valid:
            found["trace_id"] = trace.format_trace_id(context.trace_id)
            found["span_id"] = trace.format_span_id(context.span_id)
        return found


class _Body:
    """The response's body, counted; its line is written when it ends, fails or is closed."""

    def __init__(self, body: Iterable[bytes], request: _Request) -> None:
        self._body = body
        self._next: Callable[[], bytes] = iter(body).__next__
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = self._next()
        except StopIteration:
            self._request.finished()
            raise
        except BaseException:
            self._request.failed()
            raise
        self._request.size += len(chunk)
        if self._request.complete:
            self._request.finished()
        return chunk

    def close(self) -> None:
        """Close the application's body, as PEP 3333 asks of every middleware."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._request.finished()
