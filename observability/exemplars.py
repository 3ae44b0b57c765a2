"""Which span a measurement, an answer or a line may point to: one that will be found.

Traces know what becomes of a span; metrics, requests and propagation ask here, and know nothing of traces.
"""

from __future__ import annotations

from typing import Protocol

from opentelemetry import trace
from opentelemetry.context import Context


class Fate(Protocol):
    """What is known of an unsampled span: traces set it as the span's `local_trace`."""

    def promise(self) -> bool:
        """Whether it is certain by now that it is exported; and if it is, it stays so."""


def promised(span: trace.Span) -> bool:
    """Whether `span`, one of this process, is going to be exported, as far as is known by now.

    An exemplar and the sampled flag of `traceresponse` may point to it then. An answer of True is kept.
    """
    if span.get_span_context().trace_flags & 1:
        return True
    fate: Fate | None = getattr(span, "local_trace", None)
    return fate is not None and fate.promise()


def exemplar(context: Context | None = None) -> dict[str, str] | None:
    """The labels of an exemplar for the span of `context` (the current one by default).

    None where no span of this process will be found: an exemplar of an unsampled (and not kept), invalid
    or merely passed-on span would be a link to nothing.
    """
    current = trace.get_current_span(context)
    span = current.get_span_context()
    if not span.is_valid or span.is_remote or not promised(current):
        return None
    return {"trace_id": trace.format_trace_id(span.trace_id), "span_id": trace.format_span_id(span.span_id)}
