"""How many log lines match over time.

Without a text, a field or a trace, the blocks' summaries answer. With one, lines are looked at: all of them
where few blocks can hold a match, otherwise some lines of a sample of the blocks, evenly over the time, for a
drawing needs shapes and not the last digit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from observability.local.log_match import LogQuery, estimated
from observability.local.log_query import Block, candidates, counts, lines_of

BLOCKS = 64
"""Blocks that are looked into."""

LINES = 24
"""Lines, about, that are looked at in each block of a sample."""


def histogram(db: sqlite3.Connection, query: LogQuery, edges: list[int]) -> tuple[list[dict[int, int]], bool]:
    """How many lines match between each two edges, by severity number, and whether none was estimated."""
    found: list[dict[int, float]] = [{} for _ in edges[1:]]
    first, width = edges[0], edges[1] - edges[0]
    exact = True
    entries: Iterable[tuple[int, int, float]]
    if query.plain:
        entries = counts(db, query, first, width)
    else:
        possible = sorted(candidates(db, query), key=lambda block: block.oldest)
        exact = len(possible) <= BLOCKS
        entries = _of_lines(db, query, possible, first, width)
    for index, level, n in entries:
        if 0 <= index < len(found):
            found[index][level] = found[index].get(level, 0) + n
    return [{level: round(n) for level, n in bucket.items()} for bucket in found], exact


def _of_lines(
    db: sqlite3.Connection, query: LogQuery, possible: list[Block], first: int, width: int
) -> Iterator[tuple[int, int, float]]:
    step = -(-len(possible) // BLOCKS) or 1
    for block in possible[step // 2 :: step]:
        lines = lines_of(db, block)
        for i, stands_for in estimated(lines, block.id, query, LINES if step > 1 else block.n):
            yield (lines.times[i] - first) // width, lines.levels[i], step * stands_for
