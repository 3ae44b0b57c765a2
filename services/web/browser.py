"""What pages carry so that the browser's own spans are sent and join the services' traces.

`browser/telemetry.js`, bundled into `static/telemetry.js`, makes the spans. A request that a script makes
has the header `traceparent`; one for a page, by a link or a form, can have none, so a cookie of some seconds
takes the context of the click along, and here becomes that header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask
from opentelemetry import propagate

COOKIE = "dashcam_way"
"""The same in browser/telemetry.js."""

_CONTEXT = re.compile(rf"(?:^|; ){COOKIE}=(00-[0-9a-f]{{32}}-[0-9a-f]{{16}}-0[01])(?:;|$)")


def install(app: Flask, otlp_url: str | None) -> None:
    """Have the pages of `app` send spans to `otlp_url`; without one they carry no telemetry.

    Call it after `instrument()`, which reads the header that is made here.
    """
    if not otlp_url:
        app.context_processor(lambda: {"browser_traces": None})
        return
    inner = app.wsgi_app
    traces = f"{otlp_url.rstrip('/')}/v1/traces"

    def joined(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # Only what is opened as a page: pictures and styles of the page before are sent the cookie too.
        is_page = "text/html" in environ.get("HTTP_ACCEPT", "") and "HTTP_TRACEPARENT" not in environ
        if is_page and (way := _CONTEXT.search(environ.get("HTTP_COOKIE", ""))):
            environ["HTTP_TRACEPARENT"] = way[1]
        return inner(environ, start_response)

    def context() -> dict[str, Any]:
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return {"browser_traces": traces, "traceparent": carrier.get("traceparent", "")}

    app.wsgi_app = joined  # type: ignore[method-assign]
    app.context_processor(context)


def origin_of(otlp_url: str | None) -> str:
    """The origin that pages send to, as a content security policy names it; '' for none."""
    parts = urlsplit(otlp_url or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
