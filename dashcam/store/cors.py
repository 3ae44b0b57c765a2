"""Which pages may send OTLP/HTTP from a browser: cross-origin resource sharing, for listed origins only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wrappers import Response

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

PREFIX = "/v1/"
MAX_AGE_SECONDS = 7200
_ALLOWED = "Content-Type, Content-Encoding, Authorization, traceparent, tracestate, X-Requested-With"


def with_cors(app: Wsgi, origins: tuple[str, ...]) -> Wsgi:
    """`app`, whose OTLP paths pages of `origins` may use. Without origins, `app` itself."""
    if not origins:
        return app

    def shared(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not environ.get("PATH_INFO", "").startswith(PREFIX):
            return app(environ, start_response)
        origin = environ.get("HTTP_ORIGIN", "")
        # A shared cache must not give one origin's answer to another.
        headers = [("Vary", "Origin")]
        if origin in origins:
            headers += [("Access-Control-Allow-Origin", origin)]
        if environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
            return _preflight(headers, origin in origins)(environ, start_response)

        def start(status: str, given: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*given, *headers], *rest)

        return app(environ, start)

    return shared


def _preflight(headers: list[tuple[str, str]], allowed: bool) -> Response:
    if not allowed:
        return Response("this origin is not in OTLP_CORS_ORIGINS\n", 403, headers)
    more = {
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": _ALLOWED,
        "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
    }
    return Response(None, 204, [*headers, *more.items()])
