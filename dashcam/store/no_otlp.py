"""What stands in the place of OTLP in a receiver that only tails the logs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wrappers import Response

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_KEPT = ("/readyz", "/livez", "/metrics", "/metrics/otlp")


class NoGrpc:
    """A gRPC server that listens nowhere."""

    port = None

    def start(self) -> None:
        """Nothing."""

    def stop(self, grace: float) -> None:
        """Nothing."""


def without_otlp(app: Wsgi) -> Wsgi:
    """`app` with its health and metrics alone; whoever sends OTLP is told 404 and why."""

    def only_health(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] in _KEPT:
            return app(environ, start_response)
        refused = Response("this receiver only tails logs: send OTLP to the Collector\n", 404)
        return refused(environ, start_response)

    return only_health
