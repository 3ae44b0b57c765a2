"""Head sampling by the standard rules, decided in one look at the parent.

`OTEL_TRACES_SAMPLER` names a root rule (on, off, a share of the trace ids) and whether a parent's decision
beats it. The SDK's samplers find the parent three times for that, which takes longer than all the rest of
starting a span. :class:`HeadSampler` answers as they do; a property test holds that.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import SpanContext, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from observability.traces.b3 import DECISION, Decided

_LOW = TraceIdRatioBased.TRACE_ID_LIMIT


class HeadSampler(Sampler):
    """Samples the share `ratio` of all traces, by their ids; 1 is always on and 0 always off.

    `follows_parent`: where there is a parent, its sampled flag decides instead. `records_all`: what is not
    sampled is recorded nevertheless (RECORD_ONLY), for whoever judges a trace by its end.
    """

    def __init__(self, ratio: float, *, follows_parent: bool, records_all: bool = False) -> None:
        self._ratio = ratio
        self._bound = TraceIdRatioBased.get_bound_for_rate(ratio)
        self._follows_parent = follows_parent
        self._left_out = Decision.RECORD_ONLY if records_all else Decision.DROP

    def decide(self, parent: SpanContext | None, trace_id: int, said: Decided | None = None) -> Decision:
        """The decision for a span of the trace `trace_id`; `parent` is valid, or None.

        `said` is what came beside a parent's flag, or without a parent, and goes before it.
        """
        sampled: int | bool | None = parent.trace_flags & 1 if parent is not None else None
        if said is not None:
            sampled = said.sampled
        if sampled is None or not self._follows_parent:
            sampled = trace_id & _LOW < self._bound
        return Decision.RECORD_AND_SAMPLE if sampled else self._left_out

    def rule(self) -> tuple[int, bool, Decision]:
        """What `decide` goes by: the bound of the ids, whether a parent decides, and what the others get."""
        return self._bound, self._follows_parent, self._left_out

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[trace.Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """See `Sampler`: the same decision, for the SDK's own tracer."""
        parent = trace.get_current_span(parent_context).get_span_context()
        said = (
            parent_context.get(DECISION)
            if parent_context and (not parent.is_valid or parent.is_remote)
            else None
        )
        decision = self.decide(parent if parent.is_valid else None, trace_id, said)  # type: ignore[arg-type]
        kept = None if decision is Decision.DROP else attributes
        return SamplingResult(decision, kept, parent.trace_state if parent.is_valid else None)

    def get_description(self) -> str:
        """The rule as the SDK's samplers describe it, and whether all is recorded."""
        text = f"TraceIdRatioBased{{{self._ratio}}}"
        text = f"ParentBased{{root:{text}}}" if self._follows_parent else text
        return f"RecordAll{{{text}}}" if self._left_out is Decision.RECORD_ONLY else text
