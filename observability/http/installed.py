"""OpenTelemetry's own instrumentations of other clients and of threads, where they are installed.

They are the extra `clients`. Ours covers urllib3 and what is built on it. httpx, aiohttp and the standard
library's urllib leave spans and carry the trace on by the official packages; by the one for threads, a
thread, a timer or a task of a pool goes on in the trace that it was started in. A client's package is loaded
when the client is: who has it installed and does not use it pays nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

from opentelemetry import metrics, trace
from wrapt import register_post_import_hook

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
            register_post_import_hook(wired.loaded, library)
    return wired.close


class _Wired:
    """The instrumentations that are in force; more come as their libraries are loaded, until it is closed."""

    def __init__(self, tracers: trace.TracerProvider, meters: metrics.MeterProvider) -> None:
        self._providers = {"tracer_provider": tracers, "meter_provider": meters}
        self._undo: ExitStack | None = ExitStack()

    def loaded(self, library: Any) -> None:
        if self._undo is None:
            return
        module, _, name = KNOWN[library.__name__].partition(":")
        instrumentor = getattr(importlib.import_module(module), name)()
        if not instrumentor.is_instrumented_by_opentelemetry:  # else somebody has done it by himself
            instrumentor.instrument(**self._providers)
            self._undo.callback(instrumentor.uninstrument)

    def close(self) -> None:
        undo, self._undo = self._undo, None
        if undo is not None:
            undo.close()
