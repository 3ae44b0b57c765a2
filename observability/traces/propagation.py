"""How a trace travels: the headers in and out.

W3C Trace Context and Baggage by default; B3 in its single-header and multi-header forms, which a mesh
with Spring Cloud Sleuth or Zipkin speaks. What arrives in any configured form is understood, and what
leaves carries all of them. `traceresponse` (W3C Trace Context level 2, draft) answers with the trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.wsgi import wsgi_getter
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator, default_getter

from observability.exemplars import promised
from observability.traces.b3 import B3Multi, B3Single
from observability.traces.w3c import Baggage, TraceContext

TRACE_RESPONSE = "traceresponse"
(SPAN_IN_CONTEXT,) = trace.set_span_in_context(trace.INVALID_SPAN, Context())
"""Where OpenTelemetry keeps the current span in a context."""


def propagator(names: Sequence[str], trusting: bool = True) -> TextMapPropagator:
    """The propagator of the `OTEL_PROPAGATORS` names; `none` passes nothing on.

    One that is not `trusting` reads nothing of what comes in: the edge of a system, where any caller could
    force sampling and join the traces of others.
    """
    known: dict[str, type[TextMapPropagator]] = {
        "tracecontext": TraceContext,
        "baggage": Baggage,
        "b3": B3Single,
        "b3multi": B3Multi,
    }
    chosen = [known[name]() for name in names if name != "none"]
    return Chosen(chosen, trusting) if chosen else _Nothing()


class Chosen(CompositePropagator):
    """The chosen propagators, and the headers that they read as a WSGI server names them."""

    def __init__(self, chosen: Sequence[TextMapPropagator], trusting: bool = True) -> None:
        super().__init__(chosen)
        self.trusting = trusting
        names = set(self.fields) if trusting else set()
        if trusting and any(isinstance(one, B3MultiFormat) for one in chosen):  # each of the two reads both
            names |= B3MultiFormat().fields | B3SingleFormat().fields | {B3MultiFormat.FLAGS_KEY}
        self.headers = tuple("HTTP_" + name.upper().replace("-", "_") for name in sorted(names))

    def extract(self, carrier: Any, context: Context | None = None, getter: Any = default_getter) -> Context:
        if not self.trusting:
            return Context() if context is None else context
        return super().extract(carrier, context, getter)


class _Nothing(TextMapPropagator):
    """Passes nothing on. A composite of none answers no context at all, which breaks who attaches it."""

    def extract(self, carrier: Any, context: Context | None = None, getter: Any = None) -> Context:
        return Context() if context is None else context

    def inject(self, carrier: Any, context: Context | None = None, setter: Any = None) -> None:
        """Leaves the carrier as it is."""

    @property
    def fields(self) -> set[str]:
        return set()


def install(names: Sequence[str], trusting: bool = True) -> TextMapPropagator:
    """Make the named propagators the process's own; answers what was there before."""
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(propagator(names, trusting))
    return before


def extract(environ: dict[str, Any]) -> Context:
    """The context that a WSGI request brings along; an empty one where it brings none of the headers."""
    textmap = propagate.get_global_textmap()
    if isinstance(textmap, Chosen) and not any(map(environ.__contains__, textmap.headers)):
        return Context()
    return textmap.extract(environ, getter=wsgi_getter)


def identity(span: trace.Span) -> tuple[str, str] | None:
    """Trace id and span id of `span` as hexadecimal digits, or None where it has no valid identity."""
    trace_id, span_id, _, _, _, valid = span.get_span_context()
    return (trace_id.to_bytes(16, "big").hex(), span_id.to_bytes(8, "big").hex()) if valid else None


def traceresponse(span: trace.Span, ids: tuple[str, str]) -> str:
    """The value of a `traceresponse` header for `span`, of which `ids` is the identity.

    Its sampled flag says that the span will be found: it was sampled, or is certain to be kept.
    """
    return f"00-{ids[0]}-{ids[1]}-{span.get_span_context().trace_flags & 0xFF | promised(span):02x}"


def current_trace_id() -> str | None:
    """The trace id of the current context as 32 hexadecimal digits, or None outside a trace."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None
