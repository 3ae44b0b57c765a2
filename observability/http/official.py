"""`DASHCAM_INSTRUMENTATION=official`: requests through opentelemetry-instrumentation-flask, spans by the SDK.

The same signals at several times the price, for a comparison and for whoever wants only what OpenTelemetry
publishes itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor

from observability import redaction
from observability.http import exceptions
from observability.http.access import AccessLog
from observability.http.access_line import AccessLines


def install(
    app: Flask, tracers: trace.TracerProvider, meters: metrics.MeterProvider, lines: AccessLines
) -> Callable[[], None]:
    """Instrument `app`; call it once its extensions exist. Answers the function that undoes it."""
    bare = app.wsgi_app
    # Without the commenter: it attaches a context at each request and never detaches it.
    FlaskInstrumentor.instrument_app(  # type: ignore[no-untyped-call]
        app,
        request_hook=_name_span,
        response_hook=_hide_secrets,
        tracer_provider=tracers,
        meter_provider=meters,
        enable_commenter=False,
    )
    # First of all: what an earlier before_request answers itself is a request too.
    hooks = app.before_request_funcs[None]
    hooks.insert(0, hooks.pop(hooks.index(app._before_request)))  # type: ignore[attr-defined]
    watched = exceptions.install(app)
    app.wsgi_app = AccessLog(app.wsgi_app, lines)  # type: ignore[method-assign]

    def undo() -> None:
        watched()
        FlaskInstrumentor.uninstrument_app(app)  # type: ignore[no-untyped-call]
        app.wsgi_app = bare  # type: ignore[method-assign]

    return undo


def _name_span(span: trace.Span, environ: Mapping[str, Any]) -> None:
    """Name a span of an unknown route by its method alone: the path is any user's text."""
    request = environ.get("werkzeug.request")
    if request is not None and request.url_rule is None and span.is_recording():
        name = str((span.attributes or {}).get("http.request.method", "HTTP"))  # type: ignore[attr-defined]
        span.update_name("HTTP" if name == "_OTHER" else name)


def _hide_secrets(span: trace.Span, status: str, headers: list[tuple[str, str]]) -> None:
    """Hide what looks like a credential in what the client sent, which is recorded as it came."""
    recorded = getattr(span, "attributes", None) or {}
    for name in ("url.path", "url.query", "user_agent.original", "server.address"):
        given = recorded.get(name)
        hide = redaction.query if name == "url.query" else redaction.text
        if isinstance(given, str) and (clean := hide(given)) != given:
            span.set_attribute(name, clean)


def stable_conventions() -> None:
    """Ask the official instrumentations for the stable HTTP and database conventions.

    They read this variable when the first of them starts, and only then.
    """
    variable = "OTEL_SEMCONV_STABILITY_OPT_IN"
    wanted = [part.strip() for part in os.environ.get(variable, "").split(",") if part.strip()]
    os.environ[variable] = ",".join(dict.fromkeys([*wanted, "http", "database"]))
