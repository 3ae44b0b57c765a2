"""A trace as the rows of a waterfall: place, bar, critical path and log lines of each span.

There are no more rows than a page can carry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dashcam.console.finding import Finder
from dashcam.console.spent import Spent, spent
from dashcam.console.weight import DETAILS, LENGTHS, PAGE, ROW, fitting, lines_weight, span_weight
from dashcam.model.tree import Node, Tree, critical_path, self_times
from dashcam.sources import LogLine, Span, Trace

ROWS = 200
"""Spans on one page; a longer trace has more pages."""


@dataclass(frozen=True, slots=True)
class Row:
    """One span of the waterfall. Places and widths are in thousandths of the trace's duration."""

    node: Node
    x: float
    width: float
    critical: tuple[tuple[float, float], ...]
    self_time: int
    lines: Sequence[LogLine]
    inline: bool

    @property
    def span(self) -> Span:
        return self.node.span


@dataclass(frozen=True)
class Waterfall:
    """One page of rows, and what the whole trace comes to."""

    rows: Sequence[Row]
    matching: int
    first: int
    depth: int
    ticks: Sequence[tuple[float, int]]
    shares: Sequence[tuple[str, int, int]]
    """(service, microseconds on the critical path, spans), the largest first."""
    loose_lines: Sequence[LogLine]
    """Log lines of the trace that belong to none of its spans."""
    line_length: int
    """Characters that are shown of a field of a log line; 0 where the page holds no fields."""
    found: Sequence[tuple[str, int]]
    """(span id, row) of the spans that have the text that is looked for, on all pages."""
    operations: Sequence[Spent]
    """Where the time of the whole trace went."""

    @property
    def waited(self) -> int:
        """Microseconds of the whole critical path; at least 1."""
        return max(1, sum(spent for _, spent, _ in self.shares))

    @property
    def next(self) -> int | None:
        """The first row of the next page."""
        following = self.first + len(self.rows)
        return following if following < self.matching else None

    @property
    def previous(self) -> int | None:
        """The first row of the page before."""
        return max(0, self.first - ROWS) if self.first else None


def build(
    trace: Trace, lines: Sequence[LogLine] = (), first: int = 0, only: str = "", find: str = ""
) -> Waterfall:
    """The waterfall from row `first`; `only` is empty, `errors` or `critical`, `find` a text to look for."""
    tree = Tree(trace)
    path = critical_path(trace, tree)
    nodes = [node for node in tree.nodes() if _kept(only, path)(node)]
    has = Finder(find, lines)
    page = nodes[first : first + ROWS]
    by_span = _by_span(lines)
    scale = 1000 / max(1, trace.duration)
    selfs = self_times(trace, tree)
    details = sum(span_weight(node.span, LENGTHS[0]) for node in page)
    inline = details <= DETAILS
    rows = [
        Row(
            node=node,
            x=(node.span.start - trace.start) * scale,
            width=max(1.5, node.span.duration * scale),
            critical=_segments(path.get(node.span.span_id, ()), trace.start, scale),
            self_time=selfs[node.span.span_id],
            lines=by_span.get(node.span.span_id, ()),
            inline=inline,
        )
        for node in page
    ]
    loose = [line for line in reversed(lines) if line.span_id not in trace.by_id]
    shown = [*loose, *(line for row in rows for line in row.lines)]
    room = PAGE - ROW * len(rows) - details * inline
    return Waterfall(
        rows=rows,
        matching=len(nodes),
        first=first,
        depth=max((node.depth for node in nodes), default=0),
        ticks=[(part * 250.0, trace.duration * part // 4) for part in range(5)],
        shares=_shares(trace, path),
        loose_lines=loose,
        line_length=fitting(lines_weight, shown, room),
        found=[(node.span.span_id, row) for row, node in enumerate(nodes) if has(node.span)],
        operations=spent(trace, path, selfs),
    )


def _segments(
    intervals: tuple[tuple[int, int], ...], origin: int, scale: float
) -> tuple[tuple[float, float], ...]:
    return tuple(((start - origin) * scale, max(0.8, (end - start) * scale)) for start, end in intervals)


def _kept(only: str, path: Mapping[str, object]) -> Callable[[Node], bool]:
    if only == "errors":
        return lambda node: node.span.failed
    if only == "critical":
        return lambda node: node.span.span_id in path
    return lambda node: True


def _by_span(lines: Sequence[LogLine]) -> Mapping[str, list[LogLine]]:
    """Oldest first for each span; the search gives the newest first."""
    found: dict[str, list[LogLine]] = {}
    for line in reversed(lines):
        found.setdefault(line.span_id, []).append(line)
    return found


def _shares(trace: Trace, path: Mapping[str, tuple[tuple[int, int], ...]]) -> list[tuple[str, int, int]]:
    spent = dict.fromkeys(trace.services, 0)
    for span in trace.spans:
        spent[span.service] += sum(end - start for start, end in path.get(span.span_id, ()))
    shares = [(service, spent[service], spans) for service, spans in trace.services.items()]
    return sorted(shares, key=lambda share: share[1], reverse=True)
