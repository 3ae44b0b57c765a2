"""The `/metrics` of the embedded backend's programs, in the form that is asked for."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from werkzeug.wrappers import Request, Response

from observability.metrics.negotiation import content_type


def own_page(registry: CollectorRegistry, request: Request) -> Response:
    """The families of `registry`."""
    kind, openmetrics = content_type(request.headers.get("Accept", ""))
    encode = generate_openmetrics if openmetrics else generate_latest
    return Response(encode(registry), content_type=kind)
