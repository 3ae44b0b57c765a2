"""Traces that head sampling left out and that are kept after all: those that failed or were slow.

With a sampler such as `parentbased_traceidratio`, a span that the head of the trace did not choose is
still recorded, and the spans of one request in this process, the *local trace*, are held until its first
span, the *local root*, has ended. Then they are exported, if one of them failed, if the root took longer
than DASHCAM_TRACES_SLOW, or if a service further down said that it keeps its part; else they are
forgotten. Nothing is encoded for a trace that goes well.

How services agree: nobody can know at the head how a request will end, so each service judges its own
part, and tells whoever called it by the sampled flag of `traceresponse`. A caller that learns so keeps
its part too: what failed is there from the failure up to where the request came in.

Every span that is kept so says why in `dashcam.sampled.by`. Spans without it are the plain sample:
statistics over spans count those alone, or failures would be counted twice (docs/adr/0014).
"""

from __future__ import annotations

import weakref

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from observability import schema
from observability.metrics.meters import Families
from observability.traces.local_trace import DOWNSTREAM, ERROR, SLOW, LocalTrace
from observability.traces.span_queue import SpanQueue
from observability.traces.spans import RecordedSpan


class Keeper(SpanProcessor):
    """Stands before `queue`: passes on what was sampled, and judges what was not.

    `slow` is in seconds.
    """

    def __init__(self, queue: SpanQueue, families: Families, slow: float) -> None:
        self.queue = queue
        self.reads_at_once = queue.reads_at_once
        self.slow = int(slow * 1e9)
        """The same in nanoseconds."""
        self._kept = families.metric(schema.TRACES_KEPT)
        for reason in (ERROR, SLOW, DOWNSTREAM):
            self._kept.labels(reason=reason)
        # By span id, for the SDK's own spans: what it shows at their end is a copy.
        self._copied: weakref.WeakValueDictionary[int, LocalTrace] = weakref.WeakValueDictionary()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Put an unsampled span with the rest of its local trace."""
        context = span.context
        if context.trace_flags & 1:
            return
        local: LocalTrace | None = None
        if span.parent is not None and not span.parent.is_remote:
            local = getattr(trace.get_current_span(parent_context), "local_trace", None)
        if local is not None and local.closed:
            local = None
        if isinstance(span, RecordedSpan):
            if local is None:
                span.local_slow = self.slow
            else:
                span.local_trace = local
            return
        local = self._copied[context.span_id] = local or LocalTrace(span, self.slow)
        span.local_trace = local  # type: ignore[attr-defined] # one of the SDK's

    def on_end(self, span: ReadableSpan) -> None:
        """Pass a sampled span on; hold an unsampled one until its local root has ended."""
        context = span.context
        if context is None:
            return
        if context.trace_flags & 1:
            self.queue.put(span)
            return
        if isinstance(span, RecordedSpan) and span.uneventful():
            span.local_slow = None
            return
        local: LocalTrace | None = getattr(span, "local_trace", None) or self._copied.get(context.span_id)
        if local is None:
            return
        if local.is_root(span):
            self._judge(local, span)
        elif not local.hold(span) and local.reason is not None:
            self.queue.put(Kept(span, local.reason))  # it outlived its root, and goes the way of the others

    def _judge(self, local: LocalTrace, root: ReadableSpan) -> None:
        spans = local.close(root)
        if local.reason is None:
            return
        self._kept.labels(reason=local.reason).inc()
        for span in spans:
            self.queue.put(Kept(span, local.reason))
        if local.cut:
            self.queue.lost(local.cut, "local_trace_full")

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See `SpanQueue`."""
        return self.queue.force_flush(timeout_millis)


class Kept(ReadableSpan):
    """A span as it ended, with the reason why it was kept."""

    def __init__(self, span: ReadableSpan, reason: str) -> None:
        super().__init__(
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes={**(span.attributes or {}), schema.SAMPLED_BY: reason},
            events=span.events,
            links=span.links,
            kind=span.kind,
            status=span.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )
        self._of = span

    @property
    def dropped_attributes(self) -> int:
        return self._of.dropped_attributes

    @property
    def dropped_events(self) -> int:
        return self._of.dropped_events

    @property
    def dropped_links(self) -> int:
        return self._of.dropped_links
