"""What each service did for each request that it served: how long it kept it waiting, whom it called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from dashcam.diagnose.places import Visit


@dataclass
class Served:
    """The part of one trace that one service did for one call of it, the first visit being that call.

    `way` is the seconds for which the trace waited between the caller and this service: a full queue of the
    callee, or a slow network between the two.
    """

    caller: str
    visits: list[Visit] = field(default_factory=list)
    calls: list[Served] = field(default_factory=list)

    @property
    def service(self) -> str:
        return self.visits[0].span.service

    @property
    def operation(self) -> str:
        return self.visits[0].span.operation

    @property
    def start(self) -> int:
        return self.visits[0].span.start

    @property
    def answered(self) -> int:
        """When its caller had the answer, in microseconds."""
        return self.start + self.visits[0].span.duration

    @property
    def trace_id(self) -> str:
        return self.visits[0].trace.trace_id

    @property
    def way(self) -> float:
        return self.visits[0].way

    @property
    def called(self) -> set[str]:
        return {one.service for one in self.calls}


def served(found: Iterable[Visit]) -> list[Served]:
    """Every request that a service served, by time."""
    by_span: dict[tuple[str, str], Visit] = {}
    roots: list[Visit] = []
    for visit in found:
        by_span[visit.trace.trace_id, visit.span.span_id] = visit
        if visit.span.parent_id not in visit.trace.by_id:
            roots.append(visit)
    every = [one for root in roots for one in _below(root, by_span)]
    return sorted(every, key=lambda one: one.start)


def _below(root: Visit, by_span: Mapping[tuple[str, str], Visit]) -> Iterator[Served]:
    todo = [(root, Served(""))]
    yield todo[0][1]
    while todo:
        visit, mine = todo.pop()
        mine.visits.append(visit)
        for child in visit.tree.children(visit.span):
            below = by_span[visit.trace.trace_id, child.span_id]
            if child.service == visit.span.service:
                todo.append((below, mine))
                continue
            other = Served(visit.span.service)
            mine.calls.append(other)
            yield other
            todo.append((below, other))
