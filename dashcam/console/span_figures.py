"""Rate, errors and durations of a service read from its spans, for one that has no metrics of its requests.

What counts is a service's own entry: a span whose parent is not the same service's. So it holds for HTTP and
gRPC servers, consumers of messages, functions that are invoked and jobs that begin by themselves alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from dashcam.console import parameters
from dashcam.console.gather import Gatherer, Outcome
from dashcam.model.traces import Span, Trace
from dashcam.sources import Sources
from dashcam.sources.jaeger import TraceQuery

SERVICES = 12
"""Services that are asked for; beyond, a page would wait for the searches."""

TRACES = 40
"""Traces looked at of each, the newest."""


def ask(
    names: Sequence[str], sources: Sources, gatherer: Gatherer, window: parameters.Window
) -> dict[str, dict[str, float]]:
    """The figures of each of `names` that has spans in `window`; a source that is away has none."""
    searches: Mapping[str, Callable[[], Any]] = {
        f"spans{place}": partial(
            sources.traces.search, TraceQuery(name, window.start, window.end, limit=TRACES)
        )
        for place, name in enumerate(names[:SERVICES])
    }
    asked: Mapping[str, Outcome] = gatherer.ask(**searches)
    found = {
        name: figures(name, one.or_else([]), window) for name, one in zip(names, asked.values(), strict=False)
    }
    return {name: values for name, values in found.items() if values}


def figures(service: str, traces: Sequence[Trace], window: parameters.Window) -> dict[str, float]:
    """Rate a second, share of errors and quantiles in seconds; empty without spans."""
    spans = [span for trace in traces for span in entries(trace, service)]
    if not spans:
        return {}
    # Where there are more traces than were looked at, these are the newest, and cover less time.
    begun = min(span.start for span in spans) if len(traces) >= TRACES else window.start
    seconds = max(1.0, (window.end - begun) / 1e6)
    durations = sorted(span.duration / 1e6 for span in spans)
    quantiles = {name: _quantile(durations, q) for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}
    errors = sum(span.failed for span in spans) / len(spans)
    return {"rate": len(spans) / seconds, "errors": errors, **quantiles}


def entries(trace: Trace, service: str) -> Iterable[Span]:
    """The spans by which a trace enters a service."""
    for span in trace.spans:
        if span.service == service:
            parent = trace.by_id.get(span.parent_id or "")
            if parent is None or parent.service != service:
                yield span


def _quantile(ordered: Sequence[float], q: float) -> float:
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]
