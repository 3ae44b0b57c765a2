"""OpenTelemetry's own instrumentations of other clients and of threads, where they are installed.

They are the extra `clients`. Ours covers urllib3 and what is built on it. httpx, aiohttp and the standard
library's urllib leave spans and carry the trace on by the official packages; by the one for threads, a
thread, a timer or a task of a pool goes on in the trace that it was started in. A client's package is loaded
when the client is: who has it installed and does not use it pays nothing. One that does not work, for its
release or that of its client, is a log line; the client works without it.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

import wrapt
from opentelemetry import metrics, propagate, trace
from opentelemetry.instrumentation.utils import (
    is_http_instrumentation_enabled,
    suppress_http_instrumentation,
    unwrap,
)

from observability import redaction
from observability.traces.local_trace import kept_downstream
from observability.traces.propagation import TRACE_RESPONSE

_logger = logging.getLogger(__name__)

KNOWN = {
    "threading": "opentelemetry.instrumentation.threading:ThreadingInstrumentor",
    "urllib.request": "opentelemetry.instrumentation.urllib:URLLibInstrumentor",
    "httpx": "opentelemetry.instrumentation.httpx:HTTPXClientInstrumentor",
    "aiohttp": "opentelemetry.instrumentation.aiohttp_client:AioHttpClientInstrumentor",
}
"""The module that is instrumented, and who does it."""


def install(tracers: trace.TracerProvider, meters: metrics.MeterProvider) -> Callable[[], None]:
    """Instrument what is there. Answers the function that undoes it."""
    wired = _Wired(tracers, meters)
    for library, instrumentor in KNOWN.items():
        if find_spec(instrumentor.partition(":")[0]) is not None:
            wrapt.register_post_import_hook(wired.loaded, library)
    return wired.close


class _Wired:
    """The instrumentations that are in force; more come as their libraries are loaded, until it is closed."""

    def __init__(self, tracers: trace.TracerProvider, meters: metrics.MeterProvider) -> None:
        self._given: dict[str, Any] = {
            "tracer_provider": tracers,
            "meter_provider": meters,
            "request_hook": _hide_secrets,
            "async_request_hook": _hide_secrets_of_async,
            "response_hook": _answered,
            "async_response_hook": _answered_async,
        }
        self._undo: ExitStack | None = ExitStack()

    def loaded(self, library: Any) -> None:
        if self._undo is None:
            return
        module, _, name = KNOWN[library.__name__].partition(":")
        try:
            instrumentor = getattr(importlib.import_module(module), name)()
            if instrumentor.is_instrumented_by_opentelemetry:
                return  # somebody has done it by himself
            instrumentor.instrument(**self._given)
        except Exception:  # raised here, it would be the library that cannot be imported
            _logger.warning("%s is not instrumented: %s failed", library.__name__, module, exc_info=True)
            return
        if instrumentor.is_instrumented_by_opentelemetry:  # it refuses releases that it does not know
            self._undo.callback(instrumentor.uninstrument)
            if library.__name__ == "urllib.request":
                wrapt.wrap_function_wrapper(library.OpenerDirector, "open", _as_it_is)
                self._undo.callback(unwrap, library.OpenerDirector, "open")

    def close(self) -> None:
        undo, self._undo = self._undo, None
        self._given = {}  # what waits for a library that is never loaded keeps this object for ever
        if undo is not None:
            undo.close()


def _as_it_is(wrapped: Callable[..., Any], opener: Any, args: Any, kwargs: Any) -> Any:
    """`OpenerDirector.open`, with the two calls mended that work without the instrumentation only.

    It asks each body for its length, which raises for a file's: such a call has no span, but carries the
    trace on. And it takes no time limit for none at all, where urllib takes socket.setdefaulttimeout's.
    """
    call = inspect.signature(wrapped).bind(*args, **kwargs)
    call.apply_defaults()
    asked = call.arguments
    request, data = asked["fullurl"], asked["data"]
    body = getattr(request, "data", None) if data is None else data
    if body is None or hasattr(body, "__len__") or not is_http_instrumentation_enabled():
        return wrapped(**asked)
    if isinstance(request, str):
        request = asked["fullurl"] = urllib.request.Request(request, data)  # noqa: S310 - as urllib does
    propagate.inject(request.headers)
    with suppress_http_instrumentation():
        return wrapped(**asked)


def _hide_secrets(span: trace.Span, request: Any) -> None:
    """Hide credentials of a URL, of which they know some. Our own spans have done so by themselves."""
    recorded = getattr(span, "attributes", None) or {}
    for name in ("url.full", "http.url"):
        given = recorded.get(name)
        if isinstance(given, str) and (clean := redaction.text(given)) != given:
            span.set_attribute(name, clean)


async def _hide_secrets_of_async(span: trace.Span, request: Any) -> None:
    _hide_secrets(span, request)


def _answered(span: trace.Span, *told: Any) -> None:
    """A service that was called may say that it keeps its part of an unsampled trace."""
    response = getattr(told[-1], "response", told[-1])  # aiohttp gives it within what it tells
    get = getattr(getattr(response, "headers", None), "get", None)
    if get is not None:
        kept_downstream(span, get(TRACE_RESPONSE))


async def _answered_async(span: trace.Span, *told: Any) -> None:
    _answered(span, *told)
