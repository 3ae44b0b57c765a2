"""How a trace travels: the headers in and out.

W3C Trace Context and Baggage by default; B3 in its single-header and multi-header forms, which a mesh
with Spring Cloud Sleuth or Zipkin speaks. What arrives in any configured form is understood, and what
leaves carries all of them. `traceresponse` (W3C Trace Context level 2, draft) answers with the trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TRACE_RESPONSE = "traceresponse"


def propagator(names: Sequence[str]) -> TextMapPropagator:
    """The propagator of the `OTEL_PROPAGATORS` names; `none` passes nothing on."""
    known: dict[str, type[TextMapPropagator]] = {
        "tracecontext": TraceContextTextMapPropagator,
        "baggage": W3CBaggagePropagator,
        "b3": B3SingleFormat,
        "b3multi": B3MultiFormat,
    }
    chosen = [known[name]() for name in names if name != "none"]
    return CompositePropagator(chosen) if chosen else _Nothing()


class _Nothing(TextMapPropagator):
    """Passes nothing on. A composite of none answers no context at all, which breaks who attaches it."""

    def extract(self, carrier: Any, context: Context | None = None, getter: Any = None) -> Context:
        return Context() if context is None else context

    def inject(self, carrier: Any, context: Context | None = None, setter: Any = None) -> None:
        """Leaves the carrier as it is."""

    @property
    def fields(self) -> set[str]:
        return set()


def install(names: Sequence[str]) -> TextMapPropagator:
    """Make the named propagators the process's own; answers what was there before."""
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(propagator(names))
    return before


def traceresponse(span: trace.Span) -> str | None:
    """The value of a `traceresponse` header for `span`, or None where it has no valid identity."""
    context = span.get_span_context()
    if not context.is_valid:
        return None
    trace_id, span_id = trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)
    return f"00-{trace_id}-{span_id}-{context.trace_flags & 0xFF:02x}"


def current_trace_id() -> str | None:
    """The trace id of the current context as 32 hexadecimal digits, or None outside a trace."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None
