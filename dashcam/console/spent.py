"""Where a trace's time went, by operation: what Jaeger's UI calls its statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dashcam.model.tree import Intervals
from dashcam.sources import Trace


@dataclass(slots=True)
class Spent:
    """All spans of one operation of a service; times in microseconds.

    `total` counts a moment once for each span that ran, `alone` only while no child of the span ran, and
    `waited` only while the whole trace waited for it.
    """

    service: str
    operation: str
    spans: int = 0
    errors: int = 0
    total: int = 0
    longest: int = 0
    alone: int = 0
    waited: int = 0

    @property
    def mean(self) -> int:
        return self.total // max(1, self.spans)


def spent(trace: Trace, path: Intervals, self_times: Mapping[str, int]) -> list[Spent]:
    """Each operation of the trace, the one that the trace waited for most first."""
    found: dict[tuple[str, str], Spent] = {}
    for span in trace.spans:
        key = span.service, span.operation
        one = found.setdefault(key, Spent(*key))
        one.spans += 1
        one.errors += span.failed
        one.total += span.duration
        one.longest = max(one.longest, span.duration)
        one.alone += self_times[span.span_id]
        one.waited += sum(end - start for start, end in path.get(span.span_id, ()))
    return sorted(found.values(), key=lambda one: (-one.waited, -one.alone, one.service, one.operation))
