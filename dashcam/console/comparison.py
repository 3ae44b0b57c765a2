"""Two traces side by side: their spans matched by where they are in the tree and what they are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from dashcam.model.tree import Tree
from dashcam.sources import Span, Trace

ROWS = 300


@dataclass(frozen=True, slots=True)
class Pair:
    """A span of the first trace and its counterpart in the second; one of the two may be missing."""

    depth: int
    first: Span | None
    second: Span | None

    @property
    def span(self) -> Span:
        found = self.first or self.second
        assert found is not None
        return found

    @property
    def difference(self) -> int | None:
        """How much longer the second one took, in microseconds; None where one is missing."""
        return (
            None if self.first is None or self.second is None else self.second.duration - self.first.duration
        )


def compare(first: Trace, second: Trace) -> Sequence[Pair]:
    """Every span of both, in the first one's order; the spans that only the second has come after.

    Children match when service and operation are equal, the n-th of a name with the n-th of that name.
    """
    trees = Tree(first), Tree(second)
    work = list(reversed(_match(trees[0].roots, trees[1].roots, 0)))
    pairs = []
    while work:
        pair = work.pop()
        pairs.append(pair)
        below = [
            tree.children(span) if span else []
            for tree, span in zip(trees, (pair.first, pair.second), strict=True)
        ]
        work.extend(reversed(_match(below[0], below[1], pair.depth + 1)))
    return pairs


def _match(first: Sequence[Span], second: Sequence[Span], depth: int) -> list[Pair]:
    waiting: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for span in reversed(second):
        waiting[span.service, span.operation].append(span)
    pairs = []
    for span in first:
        same = waiting[span.service, span.operation]
        pairs.append(Pair(depth, span, same.pop() if same else None))
    matched = {pair.second.span_id for pair in pairs if pair.second}
    return pairs + [Pair(depth, None, span) for span in second if span.span_id not in matched]
