"""Recording the exceptions that a Flask application answers itself.

The official instrumentation sees only what escapes the application. Flask-RESTful's `Api` and an
`@errorhandler` turn an exception into a response, and the span is then an error with no reason.
Two places see every exception: Flask's `got_request_exception` signal (unhandled ones and
Flask-RESTful's) and `app.handle_user_exception` (those with a handler of their own). What they saw is
added to the span as an exception event when the response is a server error; a handled 4xx is no error of
the server's and stays without one. An exception that also escapes is recorded once.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import flask
from flask import Flask, got_request_exception
from opentelemetry import trace

SEEN = "observability.exception"
"""Where the first exception of a request stands in its WSGI environ."""
SPAN_KEY = "opentelemetry-flask.span_key"
"""Where the official instrumentation keeps a request's span in the WSGI environ."""


def install(app: Flask) -> Callable[[], None]:
    """Watch `app` beside the official instrumentation; call it after that. Answers what undoes it."""
    watched = watch(app)

    def teardown(escaping: BaseException | None) -> None:
        environ = flask.request.environ
        span = environ.get(SPAN_KEY)
        status = (getattr(span, "attributes", None) or {}).get("http.response.status_code")
        if span is not None:
            record(environ, span, status if isinstance(status, int) else 0, escaping)

    app.teardown_request(teardown)

    def undo() -> None:
        app.teardown_request_funcs[None].remove(teardown)
        watched()

    return undo


def watch(app: Flask) -> Callable[[], None]:
    """Remember what `app` answers itself. Answers the function that undoes it."""

    def handled(handle: Callable[[Exception], Any], error: Exception) -> Any:
        _remember(error)
        return handle(error)

    def on_signal(sender: Flask, exception: BaseException, **extra: Any) -> None:
        _remember(exception)

    restored = replace(app, "handle_user_exception", handled)
    got_request_exception.connect(on_signal, app)

    def undo() -> None:
        got_request_exception.disconnect(on_signal, app)
        restored()

    return undo


def replace(app: Flask, name: str, function: Callable[..., Any]) -> Callable[[], None]:
    """Have `function(original, ...)` called for the method `name` of `app`. Answers what undoes it."""
    original = getattr(app, name)
    overridden = name in vars(app)
    replacement = functools.wraps(original)(functools.partial(function, original))
    vars(app)[name] = replacement

    def undo() -> None:
        if overridden:
            vars(app)[name] = original
        elif vars(app).get(name) is replacement:
            delattr(app, name)

    return undo


def _remember(error: BaseException) -> None:
    """Keep the first exception of a request: a later one is what handling the first led to."""
    flask.request.environ.setdefault(SEEN, (error, time.time_ns()))


def record(environ: dict[str, Any], span: trace.Span, status: int, escaping: BaseException | None) -> None:
    """Add the exception to the span of an answer with `status`, at teardown; not one that is escaping."""
    error, when = environ.pop(SEEN, (None, 0))
    if error is None or error is escaping or status < 500 or not span.is_recording():
        return
    span.record_exception(error, timestamp=when)
    span.set_status(trace.Status(trace.StatusCode.ERROR, f"{type(error).__name__}: {error}"))
