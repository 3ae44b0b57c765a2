"""Outgoing HTTP: the official urllib3 instrumentation, and the calls that brought no answer.

The official one makes the client span, passes the context on and measures answered calls. A call that
ends in an exception it neither measures nor gives an `error.type`: that is added here, inside its span.
`requests` and everything else on top of urllib3 is covered.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable
from typing import Any

import urllib3.connectionpool
import wrapt
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.instrumentation.utils import is_instrumentation_enabled, unwrap
from opentelemetry.util.http import sanitize_method

from observability import redaction
from observability.traces.local_trace import kept_downstream
from observability.traces.propagation import TRACE_RESPONSE

_POOL = urllib3.connectionpool.HTTPConnectionPool
_nested = contextvars.ContextVar("observability.nested_call", default=False)


def _answered(span: trace.Span, pool: Any, response: Any) -> None:
    """A service that was called may say that it keeps its part of an unsampled trace."""
    kept_downstream(span, response.headers.get(TRACE_RESPONSE))


def install(tracers: trace.TracerProvider, meters: metrics.MeterProvider) -> Callable[[], None]:
    """Instrument urllib3 for the process. Answers the function that undoes it."""
    duration = meters.get_meter(__name__).create_histogram("http.client.request.duration", "s")

    def measured(wrapped: Callable[..., Any], pool: Any, args: Any, kwargs: Any) -> Any:
        # urllib3 calls itself again for a retry or a redirect: the outermost call is the request.
        if _nested.get() or not is_instrumentation_enabled():
            return wrapped(*args, **kwargs)
        token = _nested.set(True)
        began = time.perf_counter()
        try:
            return wrapped(*args, **kwargs)
        except Exception as error:
            kind = f"{type(error).__module__}.{type(error).__qualname__}"
            trace.get_current_span().set_attribute("error.type", kind)
            method = str(kwargs.get("method") or (args[0] if args else ""))
            duration.record(
                time.perf_counter() - began,
                {
                    "http.request.method": sanitize_method(method.upper()),
                    "server.address": pool.host,
                    "server.port": pool.port or (443 if pool.scheme == "https" else 80),
                    "error.type": kind,
                },
            )
            raise
        finally:
            _nested.reset(token)

    # First ours, then the official one around it: so the span is current when a call fails.
    wrapt.wrap_function_wrapper(_POOL, "urlopen", measured)
    official = URLLib3Instrumentor()
    official.instrument(
        tracer_provider=tracers,
        meter_provider=meters,
        url_filter=redaction.text,
        response_hook=_answered,
    )

    def undo() -> None:
        official.uninstrument()
        unwrap(_POOL, "urlopen")

    return undo
