"""A receiver beside a Jaeger: it takes metrics and log lines, and no spans."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wrappers import Response

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

SIGNALS = ("logs", "metrics")
"""What it takes over gRPC."""


def without_spans(app: Wsgi) -> Wsgi:
    """`app` without `/v1/traces`; whoever sends spans is told 404 and why."""

    def rest(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/v1/traces":
            return app(environ, start_response)
        refused = Response("this receiver takes no spans: send OTLP to the Collector\n", 404)
        return refused(environ, start_response)

    return rest
