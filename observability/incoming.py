"""The server side of a request in one pass: its span, its metrics, its access line, its `traceresponse`.

The same signals as `opentelemetry-instrumentation-flask` gives under the stable conventions, held against
it by tests/contract/test_official_instrumentation.py, for a tenth of its time: what is the same for all
requests is made once, and what nobody may ask for is collected when it is asked for.

A request begins when the WSGI server hands it over. Its span starts as the first `before_request` function,
when the route is known, and ends as the last `teardown_request` function, so that everything in between
happens in its context; it is told when the request began.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import flask
from flask import Flask
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.propagators import get_global_response_propagator
from opentelemetry.instrumentation.wsgi import default_response_propagation_setter
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation import _SPAN_KEY
from prometheus_client.samples import Exemplar

from observability import exceptions, otlp, propagation, schema
from observability.access import Body, Exchange
from observability.access_line import AccessLines
from observability.conventions import OTHER, ServerConventions
from observability.exceptions import SPAN_KEY
from observability.local_trace import promised
from observability.metrics import Families
from observability.spans import RecordedSpan, SpanTracer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from werkzeug.routing import Rule

SCHEMA_URL = Schemas.V1_21_0.value
"""Which version of the conventions the official instrumentation names."""

_KEY = "observability.request"
_ERROR = Status(StatusCode.ERROR)


class ServerMetrics:
    """The two server families; their series are found by the request's own strings."""

    def __init__(self, families: Families) -> None:
        self._duration = families.metric(schema.HTTP_SERVER_DURATION)
        self._active = families.metric(schema.HTTP_SERVER_ACTIVE)
        self._bounds = [*schema.HTTP_SERVER_DURATION.buckets, float("inf")]
        self._series: dict[tuple[str, str, str], Any] = {}
        self._gauges: dict[str, Any] = {}

    def active(self, method: str) -> Any:
        """The gauge of requests in flight."""
        gauge = self._gauges.get(method)
        if gauge is None:
            gauge = self._gauges[method] = self._active.labels(method)._value
        return gauge

    def answered(self, labels: tuple[str, str, str], seconds: float, exemplar: dict[str, str] | None) -> None:
        """One request took `seconds`. What the client's `observe()` does, in its own values."""
        child = self._series.get(labels)
        if child is None:
            child = self._series[labels] = self._duration.labels(*labels)
        bucket, total = child._buckets[bisect_left(self._bounds, seconds)], child._sum
        with total._lock:
            total._value += seconds
        with bucket._lock:
            bucket._value += 1
            if exemplar is not None:
                bucket._exemplar = Exemplar(exemplar, seconds, time.time())


class Parts(NamedTuple):
    """What every request of an application needs."""

    tracer: trace.Tracer
    metrics: ServerMetrics
    lines: AccessLines
    conventions: ServerConventions


class Incoming:
    """WSGI middleware around a Flask application, and the functions that it runs around its views."""

    def __init__(self, application: WSGIApplication, parts: Parts) -> None:
        self._application = application
        self.parts = parts

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[_KEY] = request = Request(self.parts, environ, start_response)
        active = self.parts.metrics.active(request.method)
        active.inc(1)
        try:
            body = self._application(environ, request.start)
            request.measure()
        except BaseException:
            request.failed()
            raise
        finally:
            active.inc(-1)
        return Body(body, request)


class Request(Exchange):
    """One request: what :class:`Exchange` knows of it, and its span."""

    span: trace.Span | None = None
    _rule: str | None = None
    _outcome: Mapping[str, Any] = MappingProxyType({})
    _token: Any = None
    _context_id = 0
    _answered_within = False
    excluded = False

    def __init__(self, parts: Parts, environ: WSGIEnvironment, start_response: StartResponse) -> None:
        super().__init__(parts.lines, environ, start_response)
        self.parts = parts
        self._arrived = time.time_ns()
        self.method = parts.conventions.method(environ.get("REQUEST_METHOD", ""))

    # -- around the view --------------------------------------------------------------------------

    def begin(self, rule: Rule | None, context_id: int) -> None:
        """The route is known: start the span and make it the current one."""
        shown = "HTTP" if self.method == OTHER else self.method
        # An unknown path is any user's text and does not name a span.
        name = f"{shown} {rule.rule}" if rule is not None else shown
        if trace.get_current_span() is trace.INVALID_SPAN:
            context, kind = propagation.extract(self._environ), SpanKind.SERVER
        else:
            context, kind = contexts.get_current(), SpanKind.INTERNAL
        self._rule = rule.rule if rule is not None else None
        tracer = self.parts.tracer
        if isinstance(tracer, SpanTracer):
            span = tracer.start_span(name, context, kind, start_time=self._arrived, later=self)
        else:  # the null object
            span = tracer.start_span(name, context, kind)
        self.span = self._environ[SPAN_KEY] = span
        self._context_id = context_id
        self._token = contexts.attach(Context({**context, _SPAN_KEY: span}))

    def end(self, escaping: BaseException | None, context_id: int) -> None:
        """The view's context is torn down, in case it is that of the request and not a copy."""
        span = self.span
        if span is None or self._token is None or context_id != self._context_id:
            return
        # The environ and what stands in it shall not hold each other: only a collection would free them.
        self._environ.pop(_KEY, None)
        exceptions.record(self._environ, span, self._status, escaping)
        token, self._token = self._token, None
        contexts.detach(token)
        if isinstance(escaping, Exception) and span.is_recording():
            span.record_exception(escaping)
            span.set_status(Status(StatusCode.ERROR, f"{type(escaping).__name__}: {escaping}"))
        span.end()

    # -- the response -----------------------------------------------------------------------------

    def answer(self, status: str, headers: list[tuple[str, str]]) -> None:
        self._answered_within = flask.has_request_context()
        propagator = get_global_response_propagator()  # type: ignore[no-untyped-call]
        if propagator is not None and self._answered_within:
            propagator.inject(headers, setter=default_response_propagation_setter)
        super().answer(status, headers)
        outcome: dict[str, Any] = {"http.response.status_code": self._status}
        span = self.span
        if self._status >= 500 or self._status < 100:
            outcome["error.type"] = status.partition(" ")[0]
            if span is not None and span.is_recording():
                span.set_status(_ERROR)
        if self.parts.conventions.captures_response:
            outcome |= self.parts.conventions.response(headers)
        self._outcome = outcome
        if isinstance(span, RecordedSpan) and span.collected and span.is_recording():
            span.set_attributes(outcome)

    def attributes(self) -> dict[str, Any]:
        """The span's attributes, as far as they are known by now."""
        return self.parts.conventions.request(self._environ, self._rule) | dict(self._outcome)

    def encoded(self) -> bytes | None:
        """The same as fields of an OTLP span, where that is known without collecting them."""
        first = self.parts.conventions.encoded(self._environ, self._rule)
        if first is None or self.parts.conventions.captures_response:
            return None
        return first + b"".join(otlp.attributes(otlp.SPAN_ATTRIBUTE, self._outcome))

    def measure(self) -> None:
        """The application has returned: its duration, with the span as exemplar where it will be found."""
        if self.excluded or not self._answered_within:
            return
        labels = (self.method, self._route, str(self._status))
        self.parts.metrics.answered(labels, time.perf_counter() - self._began, self._exemplar())

    def _exemplar(self) -> dict[str, str] | None:
        """Trace and span where they will be found: recorded here, and sampled or kept."""
        ids = self.ids
        if ids is None or self.span is None:
            return None
        if self.span.get_span_context().is_remote or not promised(self.span):
            return None
        return {"trace_id": ids[0], "span_id": ids[1]}


def install(app: Flask, parts: Parts) -> Callable[[], None]:
    """Instrument `app`; call it once its extensions exist. Answers the function that undoes it."""
    inner = app.wsgi_app
    app.wsgi_app = Incoming(inner, parts)  # type: ignore[method-assign]
    # First of all: what an earlier before_request answers itself is a request too.
    app.before_request_funcs.setdefault(None, []).insert(0, _begin)
    # Torn down in reverse: the first is the last, and all others still have the span.
    app.teardown_request_funcs.setdefault(None, []).insert(0, _end)
    watched = exceptions.watch(app)

    def undo() -> None:
        watched()
        app.teardown_request_funcs[None].remove(_end)
        app.before_request_funcs[None].remove(_begin)
        app.wsgi_app = inner  # type: ignore[method-assign]

    return undo


_context = flask.globals.request_ctx._get_current_object  # type: ignore[attr-defined] # not by a proxy


def _begin() -> None:
    context = _context()
    request = context.request
    exchange = request.environ.get(_KEY)
    if exchange is None or exchange.span is not None:
        return
    excluded = exchange.parts.conventions.excluded
    if excluded is not None and excluded.url_disabled(request.url):
        exchange.excluded = True
    else:
        exchange.begin(request.url_rule, id(context))


def _end(escaping: BaseException | None) -> None:
    context = _context()
    exchange = context.request.environ.get(_KEY)
    if exchange is not None:
        exchange.end(escaping, id(context))
