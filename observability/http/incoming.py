"""The server side of a request in one pass: its span, its metrics, its access line, its `traceresponse`.

The same signals as `opentelemetry-instrumentation-flask` gives under the stable conventions, held against
it by tests/contract/test_official_instrumentation.py, for a tenth of its time: what is the same for all
requests is made once, and what nobody may ask for is collected when it is asked for.

A request begins when the WSGI server hands it over. Its span starts when Flask knows the route and has not
done anything else, and ends when Flask has torn the request down, so that everything in between happens in
its context; it is told when the request began. Flask calls the two methods that are replaced for this in any
order of middleware, and without asking at each call, as for a hook, whether it is a coroutine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import flask
from flask import Response
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.propagators import get_global_response_propagator
from opentelemetry.instrumentation.wsgi import default_response_propagation_setter
from opentelemetry.trace import SpanKind, Status, StatusCode

from observability.exemplars import promised
from observability.http import exceptions
from observability.http.access import Exchange
from observability.http.access_line import AccessLines
from observability.http.conventions import OTHER, ServerConventions
from observability.http.exceptions import SPAN_KEY
from observability.http.server_metrics import ServerMetrics
from observability.traces import propagation
from observability.traces.local_trace import ERROR, keep
from observability.traces.propagation import SPAN_IN_CONTEXT
from observability.traces.spans import RecordedSpan
from observability.traces.tracer import SpanTracer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from werkzeug.routing import Rule

KEY = "observability.request"
"""Where a request stands in its WSGI environ."""
_ERROR = Status(StatusCode.ERROR)


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
        request = Request(self.parts, environ, start_response)
        request.outer, environ[KEY] = environ.get(KEY), request
        request.active = self.parts.metrics.active(request.method)
        request.active.inc(1)
        try:
            return request.handed_on(self._application(environ, request.start))
        except BaseException as error:
            request.failed(error)
            raise


class Request(Exchange):
    """One request: what :class:`Exchange` knows of it, and its span."""

    span: trace.Span | None = None
    _rule: str | None = None
    _attributes: Mapping[str, Any] = MappingProxyType({})
    _token: Any = None
    _noted: BaseException | None = None
    _context_id = 0
    excluded = False
    active: Any = None
    """The gauge that it is counted in until its last byte is out."""
    open = False
    """Whether the view is torn down and the span goes on, until the body has been made."""
    resumed: Context | None = None
    """The context in which the body is made, where that is not the view's own any more."""
    outer: Request | None = None
    """The request of another instrumented application that calls this one with its own environ."""

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
        context, kind = contexts.get_current(), SpanKind.INTERNAL
        if not context or trace.get_current_span(context) is trace.INVALID_SPAN:
            context, kind = propagation.extract(self._environ), SpanKind.SERVER
        if rule is not None:  # a copy of the request's context that ends makes Flask forget it
            self._rule = self._route = rule.rule
        tracer = self.parts.tracer
        if isinstance(tracer, SpanTracer):
            span = tracer.start_span(name, context, kind, start_time=self._arrived, later=self)
        else:  # the null object
            span = tracer.start_span(name, context, kind)
        self.span = self._environ[SPAN_KEY] = span
        self._context_id = context_id
        self._token = contexts.attach(Context({**context, SPAN_IN_CONTEXT: span}))

    def end(self, escaping: BaseException | None, context_id: int) -> None:
        """The view's context is torn down, in case it is that of the request and not a copy."""
        span = self.span
        if span is None or context_id != self._context_id:
            return
        self._context_id = 0
        self.leave()
        exceptions.record(self._environ, span, self._status, escaping)
        self.suspend()
        if escaping is not None:
            self._note(span, escaping)
        if self._done or (self.plain and escaping is None):
            span.end()
        else:  # there is more to come of it
            self.open = True

    def suspend(self) -> None:
        """Leave the view's context, for as long as this thread does nothing for the request."""
        token, self._token = self._token, None
        if token is not None:
            self.resumed = contexts.get_current()
            contexts.detach(token)

    def _note(self, span: trace.Span, error: BaseException) -> None:
        """Say on the span that it failed by `error`, once."""
        if span.is_recording() and self._noted is not error:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        self._noted = error

    def leave(self) -> None:
        """Take this request out of the environ, and put back the one around it, if there is one."""
        if self.outer is not None:
            self._environ[KEY], self._environ[SPAN_KEY] = self.outer, self.outer.span
        else:
            # The environ and what stands in it shall not hold each other: only a collection would free them.
            self._environ.pop(KEY, None)

    # -- the response -----------------------------------------------------------------------------

    def answer(self, status: str, headers: list[tuple[str, str]]) -> None:
        span = self.span
        propagator = get_global_response_propagator()  # type: ignore[no-untyped-call]
        if propagator is not None and span is not None:
            propagator.inject(headers, setter=default_response_propagation_setter)
        super().answer(status, headers)
        found = self._outcome
        if found.failed and span is not None and span.is_recording():
            span.set_status(_ERROR)
        self._attributes = found.attributes
        if self.parts.conventions.captures_response:
            self._attributes = {**found.attributes, **self.parts.conventions.response(headers)}
        if isinstance(span, RecordedSpan) and span.collected and span.is_recording():
            span.set_attributes(self._attributes)

    def attributes(self) -> dict[str, Any]:
        """The span's attributes, as far as they are known by now."""
        return {**self.parts.conventions.request(self._environ, self._rule), **self._attributes}

    def encoded(self) -> bytes | None:
        """The same as fields of an OTLP span, where that is known without collecting them."""
        first = self.parts.conventions.encoded(self._environ, self._rule)
        if first is None or self.parts.conventions.captures_response:
            return None
        return first + self._outcome.encoded

    # -- the end ----------------------------------------------------------------------------------

    def handed_on(self, body: Iterable[bytes]) -> Iterable[bytes]:
        if not self.plain:
            self.suspend()
        return super().handed_on(body)

    def turn(self, step: Callable[[], Any]) -> Any:
        """As the view was left; what the body's generator makes current itself, it finds at its next turn."""
        if self.resumed is None:
            return step()
        token = contexts.attach(self.resumed)
        try:
            return step()
        finally:
            self.resumed = contexts.get_current()
            contexts.detach(token)

    def over(self, error: BaseException | None) -> None:
        """The last byte is out: the duration, and the end of a span that has not ended with its view."""
        span = self.span
        if error is not None:
            self._attributes = {**self._attributes, **self._outcome.attributes}
            if span is not None:
                self._failed(span, error)
        self.measure()
        self.active.inc(-1)
        if span is not None and self.open:
            self.open = False
            span.end()

    def _failed(self, span: trace.Span, error: BaseException) -> None:
        keep(span, ERROR)
        self._note(span, error)
        if isinstance(span, RecordedSpan) and span.collected and span.is_recording():
            span.set_attributes(self._attributes)

    def measure(self) -> None:
        """Its duration, with the span as exemplar where it will be found.

        A middleware may answer or raise before Flask knows the request: the client waited all the same.
        """
        if self.excluded or (self.span is None and self.parts.conventions.excluded is not None):
            return
        labels = (self.method, self._route, self._outcome.label)
        self.parts.metrics.answered(labels, time.perf_counter() - self._began, self._exemplar())

    def _exemplar(self) -> dict[str, str] | None:
        """Trace and span where they will be found: recorded here, and sampled or kept."""
        ids, span = self.ids, self.span
        if ids is None or span is None or span.get_span_context().is_remote or not promised(span):
            return None
        return {"trace_id": ids[0], "span_id": ids[1]}


_context = flask.globals._cv_request.get  # not by a proxy


def dispatched(dispatch: Callable[[], Response]) -> Response:
    """A request from the first function that is called for it."""
    context = _context()
    asked = context.request
    request: Request | None = asked.environ.get(KEY)
    if request is None or request.span is not None or request.excluded:
        return dispatch()
    excluded = request.parts.conventions.excluded
    if excluded is not None and excluded.url_disabled(asked.url):
        request.excluded = True
    else:
        request.begin(asked.url_rule, id(context))
    response = dispatch()
    request.plain = response.is_sequence and not response._on_close
    return response


def torn_down(tear_down: Callable[..., None], *error: BaseException | None) -> None:
    """A request to the last function that is called for it."""
    try:
        tear_down(*error)
    finally:
        context = _context()
        request: Request | None = context.request.environ.get(KEY)
        if request is not None:
            request.end(error[0] if error else sys.exc_info()[1], id(context))
