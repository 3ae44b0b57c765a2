"""The SDK's tracer and provider, whose spans are those of `spans.py`: one look at the parent for each."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from time import time_ns
from typing import Any, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.util.types import Attributes

from observability.traces.b3 import DECISION
from observability.traces.sampling import HeadSampler
from observability.traces.spans import ENOUGH, LONGEST, Later, RecordedSpan

FLAGS = tuple(TraceFlags(bits) for bits in range(4))
"""By the two bits that there are, sampled and random: making one costs as much as finding its parent."""

_DROP, _SAMPLE = Decision.DROP, Decision.RECORD_AND_SAMPLE


class SpanTracer(sdk.Tracer):
    """The SDK's tracer, of which the spans are :class:`RecordedSpan`."""

    limits: sdk.SpanLimits
    scope: InstrumentationScope
    lock: threading.Lock

    def adopt(self, provider: SpanTracerProvider) -> SpanTracer:
        """Take over what spans ask for at every turn."""
        self.limits = self._span_limits
        self.scope = self._instrumentation_scope
        self.lock = provider.span_lock
        most, longest = self.limits.max_span_attributes, self.limits.max_span_attribute_length
        # Whether what is encoded without being collected keeps the limits in any case.
        self.roomy = (most is None or most >= ENOUGH) and (longest is None or longest >= LONGEST)
        self._head = self.sampler if isinstance(self.sampler, HeadSampler) else None
        self._random = 2 if self.id_generator.is_trace_id_random() else 0
        return self

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[trace.Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        *,
        later: Later | None = None,
    ) -> trace.Span:
        """As the API has it. `later` collects the first attributes; no sampler is shown them."""
        empty = context is not None and not context
        parent: SpanContext | None = None if empty else trace.get_current_span(context).get_span_context()
        if not self._is_enabled():
            return trace.NonRecordingSpan(parent or trace.INVALID_SPAN_CONTEXT)
        if parent is None or not parent.is_valid:
            trace_id, random = self.id_generator.generate_trace_id(), self._random
            parent = state = None
        else:
            trace_id, random, state = parent.trace_id, parent.trace_flags & 2, parent.trace_state
        if self._head is not None:
            said = context.get(DECISION) if context and (parent is None or parent.is_remote) else None
            decision = self._head.decide(parent, trace_id, said)  # type: ignore[arg-type]
        else:
            result = self.sampler.should_sample(context, trace_id, name, kind, attributes, links or ())
            decision, attributes, state = result.decision, result.attributes, result.trace_state
        flags = FLAGS[random | (decision is _SAMPLE)]
        span_id = self.id_generator.generate_span_id()
        identity = SpanContext(trace_id, span_id, False, flags, state)
        if decision is _DROP:
            return trace.NonRecordingSpan(identity)
        span = RecordedSpan(self, name, identity, parent, kind)
        span._later = later
        span._start_time = time_ns() if start_time is None else start_time
        if attributes:
            span.set_attributes(attributes)
        if links:
            span._links = span._new_links(links)
        if not (record_exception and set_status_on_exception):
            span._record_exception, span._set_status_on_exception = record_exception, set_status_on_exception
        self.span_processor.on_start(span, parent_context=context)
        return span


class SpanTracerProvider(sdk.TracerProvider):
    """The SDK's provider, of which the tracers are :class:`SpanTracer`."""

    span_lock: threading.Lock

    def __init__(self, **arguments: Any) -> None:
        # One for all spans, held for nanoseconds: a lock for each would cost more than it saves.
        self.span_lock = threading.Lock()
        super().__init__(**arguments)

    def _handle_fork(self) -> None:
        self.span_lock = threading.Lock()
        super()._handle_fork()
        for tracer in self._tracers.values():
            cast(SpanTracer, tracer).lock = self.span_lock

    def get_tracer(self, *arguments: Any, **named: Any) -> trace.Tracer:
        tracer = super().get_tracer(*arguments, **named)
        if type(tracer) is sdk.Tracer:
            # Made by the SDK with all that it knows of scopes and configurators; only its spans are ours.
            tracer.__class__ = SpanTracer
            cast(SpanTracer, tracer).adopt(self)
        return tracer
