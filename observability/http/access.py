"""The outermost layer of the application: one request from its arrival to the body's last byte.

It stands outside the instrumentation, so that it sees the body's end (a streaming body goes on long after
the view returned, and after the span has ended) and every response, whoever made it. :class:`Exchange` is
one request; it writes the access line and gives the response its `traceresponse` header.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from werkzeug.wsgi import ClosingIterator

from observability import schema
from observability.http.access_line import MAX_AGENT, MAX_PATH, AccessLines, Answered
from observability.http.conventions import ESCAPED, KNOWN_METHODS, UNKNOWN, as_text, cut_short, outcome
from observability.http.exceptions import SPAN_KEY
from observability.traces.local_trace import ERROR, keep
from observability.traces.propagation import TRACE_RESPONSE, identity, traceresponse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class AccessLog:
    """WSGI middleware: one log line for each request when its last byte is out, and `traceresponse`."""

    def __init__(self, application: WSGIApplication, lines: AccessLines) -> None:
        self._application = application
        self._lines = lines

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        exchange = Exchange(self._lines, environ, start_response)
        # The instrumentation gives a span its url.path only where the server tells the request's target,
        # which PEP 3333 does not ask for and granian does not do.
        environ.setdefault("REQUEST_URI", environ.get("PATH_INFO") or "/")
        try:
            body = self._application(environ, exchange.start)
        except BaseException as error:
            exchange.failed(error)
            raise
        return exchange.handed_on(body)


class Exchange:
    """What is known about one request and its response."""

    # As it is before the response begins.
    _outcome = UNKNOWN
    _status = 0
    _headers: Sequence[tuple[str, str]] = ()
    _length: int | None = None
    _route = schema.UNMATCHED_ROUTE
    _done = False
    plain = False
    """Whether the body stands in memory as a whole and nobody wants to know when it is out."""
    size = 0
    ids: tuple[str, str] | None = None
    """Trace and span as hexadecimal digits, once the response began."""

    def __init__(self, lines: AccessLines, environ: WSGIEnvironment, start_response: StartResponse) -> None:
        self._lines = lines
        self._environ = environ
        self._start_response = start_response
        self._began = time.perf_counter()

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """What the application is given as `start_response`."""
        self.answer(status, headers)
        if exc_info:
            return self._start_response(status, headers, exc_info)
        return self._start_response(status, headers)

    def answer(self, status: str, headers: list[tuple[str, str]]) -> None:
        """The response begins: remember its status and its route, add the header."""
        rule = getattr(self._environ.get("werkzeug.request"), "url_rule", None)
        if rule is not None:  # Flask forgets the request before the body is out
            self._route = rule.rule
        self._outcome = outcome(status)
        self._status = self._outcome.code
        self._headers = headers
        span = self._environ.get(SPAN_KEY)
        self.ids = identity(span) if span is not None else None
        if span is not None and self.ids is not None:
            if self._status >= 500:
                keep(span, ERROR)  # before the header, which tells the caller so
            headers.append((TRACE_RESPONSE, traceresponse(span, self.ids)))

    def handed_on(self, body: Iterable[bytes]) -> Iterable[bytes]:
        """What the server is given in place of the application's `body`.

        A plain body becomes a list, which granian sends in one go with the head; for any other iterable it
        opens a stream, which takes it longer than all that is done here for a request.
        """
        if not self.plain or type(body) is not ClosingIterator:
            return Body(body, self)
        pieces = list(body)
        body.close()
        self.size = sum(map(len, pieces))
        self.finished()
        return pieces

    def sent(self, size: int) -> None:
        """`size` more bytes of the body go out; with the last that were announced, the request is over."""
        self.size += size
        if self._length is None:
            self._length = _announced(self._headers)
        if 0 <= self._length <= self.size:
            self.finished()

    def failed(self, error: BaseException) -> None:
        """The application or its body raises `error`: the line says so and carries it.

        A server answers that itself, with 500, as long as no byte of the body has made it send the head.
        """
        if not self._done:
            self._done = True
            if self.ids is None and (span := self._environ.get(SPAN_KEY)) is not None:
                self.ids = identity(span)
            self._outcome = cut_short(self._outcome, error) if self.size else outcome(ESCAPED)
            self._status = self._outcome.code
            self.over(error)
            self._lines.write(self._answered(), error=True)

    def finished(self) -> None:
        """The body is out, or the client went away."""
        if not self._done:
            self._done = True
            self.over(None)
            self._lines.write(self._answered())

    def over(self, error: BaseException | None) -> None:
        """What else there is to do once, when the response has ended, by `error` where it failed."""

    def turn(self, step: Callable[[], Any]) -> Any:
        """Have the application do one `step` of making its body."""
        return step()

    def _answered(self) -> Answered:
        environ = self._environ
        method = environ.get("REQUEST_METHOD", "")
        path = as_text(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""))
        query, agent = environ.get("QUERY_STRING"), environ.get("HTTP_USER_AGENT")
        return Answered(
            method if method in KNOWN_METHODS else "_OTHER",
            self._route,
            path[:MAX_PATH],
            self._status,
            self.size,
            time.perf_counter() - self._began,
            environ.get("REMOTE_ADDR"),
            as_text(query)[:MAX_PATH] if query else None,
            as_text(agent)[:MAX_AGENT] if agent else None,
            self.ids,
        )


def _announced(headers: Sequence[tuple[str, str]]) -> int:
    """The bytes that the response's body is said to have, or -1."""
    for name, value in headers:
        if name.lower() == "content-length" and value.isdecimal():
            return int(value)
    return -1


class Body:
    """The response's body, counted; its line is written when it ends, fails or is closed."""

    __slots__ = ("_body", "_exchange", "_next")

    def __init__(self, body: Iterable[bytes], exchange: Exchange) -> None:
        self._body = body
        self._next: Callable[[], bytes] = iter(body).__next__
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk: bytes = self._exchange.turn(self._next)
        except StopIteration:
            self._exchange.finished()
            raise
        except BaseException as error:
            self._exchange.failed(error)
            raise
        self._exchange.sent(len(chunk))
        return chunk

    def close(self) -> None:
        """Close the application's body, as PEP 3333 asks of every middleware."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                self._exchange.turn(close)
        except BaseException as error:
            self._exchange.failed(error)
            raise
        self._exchange.finished()
