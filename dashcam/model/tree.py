"""A trace as a tree, and its critical path. Works for any input: lost parents, cycles, 100,000 levels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dashcam.model.traces import Span, Trace

Intervals = Mapping[str, tuple[tuple[int, int], ...]]


@dataclass(frozen=True, slots=True)
class Node:
    """One span at its place; `descendants` counts all spans below it, `lost_parent` a missing parent."""

    span: Span
    depth: int
    children: int
    descendants: int
    lost_parent: bool


class Tree:
    """The spans of a trace by parent. Nothing here recurses, so that depth has no bound."""

    def __init__(self, trace: Trace) -> None:
        self._children: dict[str, list[Span]] = {}
        self.roots: list[Span] = []
        for span in trace.spans:
            if span.parent_id in trace.by_id and span.parent_id != span.span_id:
                self._children.setdefault(span.parent_id or "", []).append(span)
            else:
                self.roots.append(span)
        self._adopt_cycles(trace)

    def children(self, span: Span) -> list[Span]:
        """Its children by start time."""
        return self._children.get(span.span_id, [])

    def nodes(self) -> list[Node]:
        """Every span once, parents before their children, siblings by start time."""
        order = list(self._walk())
        below: dict[str, int] = {}
        for span, _ in reversed(order):
            below[span.span_id] = sum(1 + below[child.span_id] for child in self.children(span))
        roots = {span.span_id for span in self.roots}
        return [
            Node(
                span,
                depth,
                len(self.children(span)),
                below[span.span_id],
                span.span_id in roots and bool(span.parent_id),
            )
            for span, depth in order
        ]

    def _walk(self) -> Iterator[tuple[Span, int]]:
        stack = [(root, 0) for root in reversed(self.roots)]
        while stack:
            span, depth = stack.pop()
            yield span, depth
            stack.extend((child, depth + 1) for child in reversed(self.children(span)))

    def _adopt_cycles(self, trace: Trace) -> None:
        """Make a root of one span of each ring of parents, which no root would lead to."""
        reached = {span.span_id for span, _ in self._walk()}
        for span in trace.spans:
            if span.span_id in reached:
                continue
            siblings = self._children[span.parent_id or ""]
            siblings.remove(span)
            self.roots.append(span)
            stack = [span]
            while stack:
                current = stack.pop()
                reached.add(current.span_id)
                stack.extend(self.children(current))


def critical_path(trace: Trace, tree: Tree) -> Intervals:
    """The times of each span in which nothing else kept its trace from ending, by span id.

    From the root's end backwards: the child that ended last before a moment is what was waited for until
    then; where no child was running, the span itself was. A child counts only while its parent runs. The
    intervals of all spans together are the root's duration, without overlap.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    if trace.root is None:
        return {}
    work = [(trace.root, trace.root.start, trace.root.end)]
    while work:
        span, since, until = work.pop()
        begin, moment = max(span.start, since), min(span.end, until)
        for child in sorted(tree.children(span), key=lambda child: child.end, reverse=True):
            end = min(child.end, span.end, until)
            if end > moment or child.start >= moment or end <= begin:
                continue
            if end < moment:
                found.setdefault(span.span_id, []).append((end, moment))
            work.append((child, begin, end))
            moment = max(child.start, begin)
        if moment > begin:
            found.setdefault(span.span_id, []).append((begin, moment))
    return {span_id: tuple(reversed(intervals)) for span_id, intervals in found.items()}


def self_times(trace: Trace, tree: Tree) -> Mapping[str, int]:
    """Microseconds of each span during which none of its children ran, by span id."""
    times = {}
    for span in trace.spans:
        covered, reached = 0, span.start
        for child in tree.children(span):
            start, end = max(child.start, reached), min(child.end, span.end)
            if end > start:
                covered, reached = covered + end - start, end
        times[span.span_id] = span.duration - covered
    return times
