"""How many log lines match over time.

Without a text, a field or a trace, the blocks' summaries answer. With one, lines are looked at: all of them
where few blocks can hold a match, otherwise some lines of a sample of the blocks, evenly over the time, for a
drawing needs shapes and not the last digit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from dashcam.store.log_match import LogQuery, estimated
from dashcam.store.log_query import Block, candidates, counts, lines_of

BLOCKS = 64
"""Blocks that are looked into."""

LINES = 24
"""Lines, about, that are looked at in each block of a sample."""

EVERY = 8
"""Of so many blocks one is looked at first; where many of those can hold a match, that is enough."""


def histogram(db: sqlite3.Connection, query: LogQuery, edges: list[int]) -> tuple[list[dict[int, int]], bool]:
    """How many lines match between each two edges, by severity number, and whether none was estimated."""
    found: list[dict[int, float]] = [{} for _ in edges[1:]]
    first, width = edges[0], edges[1] - edges[0]
    exact = True
    entries: Iterable[tuple[int, int, float]]
    if query.plain:
        entries = counts(db, query, first, width)
    else:
        part, possible = EVERY, list(candidates(db, query, EVERY))
        if len(possible) < BLOCKS:
            part, possible = 1, list(candidates(db, query))
        exact = part == 1 and len(possible) <= BLOCKS
        chosen = [(block, 1.0) for block in possible] if exact else _sample(possible, part, edges)
        entries = _of_lines(db, query, chosen, first, width, None if exact else LINES)
    for index, level, n in entries:
        if 0 <= index < len(found):
            found[index][level] = found[index].get(level, 0) + n
    return [{level: round(n) for level, n in bucket.items()} for bucket in found], exact


def _sample(possible: list[Block], part: int, edges: list[int]) -> Iterator[tuple[Block, float]]:
    """Some of the blocks of each stretch of time, each with how many blocks it stands for."""
    width = (edges[1] - edges[0]) * -(-(len(edges) - 1) // BLOCKS)
    stretches: dict[int, list[Block]] = {}
    for block in possible:
        middle = (block.oldest + block.newest) // 2
        stretches.setdefault((middle - edges[0]) // width, []).append(block)
    most = max(1, BLOCKS // len(stretches))
    for stretch in stretches.values():
        chosen = stretch[:: -(-len(stretch) // most)]
        yield from ((block, part * len(stretch) / len(chosen)) for block in chosen)


def _of_lines(
    db: sqlite3.Connection,
    query: LogQuery,
    chosen: Iterable[tuple[Block, float]],
    first: int,
    width: int,
    most: int | None,
) -> Iterator[tuple[int, int, float]]:
    for block, blocks in chosen:
        lines = lines_of(db, block)
        if not lines.times:
            continue
        for i, stands_for in estimated(lines, block.id, query, most or block.n):
            yield (lines.times[i] - first) // width, lines.levels[i], blocks * stands_for
