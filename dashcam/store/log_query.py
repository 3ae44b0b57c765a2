"""Finding and counting log lines. Over time: log_histogram.py.

A search goes through blocks in the order asked for, looks only into those that can hold a match by
their summaries, and stops when no later block can change the page. Counting goes by the summaries
where they answer, and otherwise line by line within a limit of time.
"""

from __future__ import annotations

import heapq
import json
import logging
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dashcam.store import blocks
from dashcam.store.log_match import LogQuery, WordFilter, heads, matching

log = logging.getLogger(__name__)

PAGE_SECONDS = 3.0
"""How long a page is looked for; then the answer is what was found, with the place to go on from."""

PAGE_BYTES = 8 * 1024 * 1024
"""What the lines of a page may take; a page of longer ones has fewer, and goes on at `next`."""

COUNT_SECONDS = 0.03
"""How long matches are counted once the page is full; then the total is a lower bound."""


@dataclass
class Found:
    """The page of a search. `lines` are (time, seq, JSON), `exact` whether `total` is."""

    lines: list[tuple[int, int, str]] = field(default_factory=list)
    total: int = 0
    exact: bool = True
    next: tuple[int, int] | None = None
    """Where the next page begins, as LogQuery.before; None at the end."""
    latest: int = 0
    """The seq of the newest line stored, matching or not: where a live follow goes on."""


class Block(NamedTuple):
    """A block that may hold matches: the seq of its first line, how many, and what its summary says."""

    id: int
    n: int
    oldest: int
    newest: int
    services: list[str]


class _Page:
    """The lines that go first, of those offered. Keeps at most `limit`, and as few as fit into PAGE_BYTES."""

    def __init__(self, query: LogQuery) -> None:
        self._sign = 1 if query.newest_first else -1
        self._limit = query.limit
        self._heap: list[tuple[int, int, str]] = []
        self._bytes = 0

    def offer(self, moment: int, seq: int, line: str) -> None:
        entry = (self._sign * moment, self._sign * seq, line)
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, entry)
        elif entry > self._heap[0]:
            self._bytes -= sys.getsizeof(heapq.heapreplace(self._heap, entry)[2])
        else:
            return
        self._bytes += sys.getsizeof(line)
        while self._bytes > PAGE_BYTES and len(self._heap) > 1:
            self._bytes -= sys.getsizeof(heapq.heappop(self._heap)[2])
            self._limit = len(self._heap)

    def closed_to(self, block: Block) -> bool:
        """Whether no line of the block, or of one after it, can come onto the page."""
        best = block.newest if self._sign > 0 else -block.oldest
        return len(self._heap) >= self._limit and best < self._heap[0][0]

    def lines(self) -> list[tuple[int, int, str]]:
        return [(self._sign * a, self._sign * b, line) for a, b, line in sorted(self._heap, reverse=True)]

    @property
    def full(self) -> bool:
        return len(self._heap) >= self._limit


def search(db: sqlite3.Connection, query: LogQuery) -> Found:
    """The first `limit` lines in the order asked for, and how many match in all."""
    found = Found()
    row = db.execute("SELECT id + n - 1 FROM log_block ORDER BY id DESC LIMIT 1").fetchone()
    found.latest = row[0] if row else 0
    page = _Page(query)
    deadline = time.monotonic() + PAGE_SECONDS
    counting = False
    for block in candidates(db, query):
        if not counting and page.closed_to(block):
            if query.plain:
                break
            counting = True
            deadline = time.monotonic() + COUNT_SECONDS
        if time.monotonic() > deadline:
            found.exact = False
            if not counting:
                found.next = (block.newest, 2**63 - 1)
            break
        for moment, seq, line in _matching(db, block, query):
            found.total += 1
            if query.before is None or (moment, seq) < query.before:
                page.offer(moment, seq, line)
    found.lines = page.lines()
    if page.full and query.newest_first:
        found.next = found.lines[-1][:2]
    if query.plain:
        found.total = sum(n for _, _, n in counts(db, query, -(2**63), 2**64))
    return found


def services(db: sqlite3.Connection) -> list[str]:
    """The services of which lines are stored, sorted."""
    found: set[str] = set()
    for (names,) in db.execute("SELECT DISTINCT services FROM log_block"):
        found.update(json.loads(names))
    return sorted(found)


def counts(db: sqlite3.Connection, query: LogQuery, first: int, width: int) -> Iterator[tuple[int, int, int]]:
    """(bucket, level, lines) of a plain query; bucket 0 begins at `first`.

    Blocks that lie within one bucket and within the query's times are summed by their summaries; of the
    others only the times, levels and services are unpacked.
    """
    named, names = _named(query)
    first, width = max(first, -(2**62)), min(width, 2**62)
    inside = "b.min_time >= ? AND b.max_time <= ? AND (b.min_time - ?) / ? = (b.max_time - ?) / ?"
    bounds = (query.start, query.end, first, width, first, width)
    yield from db.execute(
        "SELECT (b.min_time - ?) / ?, f.level, sum(f.n) FROM log_block b JOIN log_facet f ON f.block = b.id"  # noqa: S608 - our own text
        f" WHERE {inside} AND f.level >= ?{named} GROUP BY 1, 2",
        (first, width, *bounds, query.level, *names),
    )
    straddling = db.execute(
        "SELECT b.id, b.n, b.min_time, b.max_time, b.services FROM log_block b"  # noqa: S608 - our own text
        f" WHERE b.max_time >= ? AND b.min_time <= ? AND NOT ({inside})",
        (query.start, query.end, *bounds),
    )
    for id_, n, oldest, newest, names_ in straddling.fetchall():
        block = Block(id_, n, oldest, newest, json.loads(names_))
        times = _undamaged(block, blocks.log_times, _payload(db, block))
        for i in heads(times, block.id, query, range(len(times.times))):
            yield (times.times[i] - first) // width, times.levels[i], 1


def candidates(db: sqlite3.Connection, query: LogQuery, every: int = 1) -> Iterator[Block]:
    """The blocks that can hold a match, in the order asked for; about one in `every` of them."""
    where = ["b.max_time >= ?", "b.min_time <= ?"]
    values: list[Any] = [query.start, query.end]
    if every > 1:
        where.append("b.id / ? % ? = 0")
        values += [blocks.LINES, every]
    if query.after:
        where.append("b.id + b.n > ?")
        values.append(query.after + 1)
    wanted = WordFilter(query)
    join, columns = "", "NULL, NULL"
    if wanted.needs_phrases:
        join, columns = " JOIN log_phrases p ON p.block = b.id", "p.phrases, NULL"
    elif wanted:
        join = " JOIN log_words w ON w.block = b.id"
        columns = "w.words, w.ids" if wanted.needs_ids else "w.words, x''"
    if query.trace:
        join += " JOIN log_traces t ON t.block = b.id"
        where.append("instr(t.traces, ?)")
        values.append(query.trace)
    if query.level or query.services:
        named, names = _named(query)
        where.append(f"EXISTS (SELECT 1 FROM log_facet f WHERE f.block = b.id AND f.level >= ?{named})")  # noqa: S608 - our own text
        values += [query.level, *names]
    if query.before is not None:
        where.append("b.min_time <= ?")
        values.append(query.before[0])
    order = "b.max_time DESC" if query.newest_first else "b.min_time"
    sql = (
        f"SELECT b.id, b.n, b.min_time, b.max_time, b.services, {columns} FROM log_block b{join}"  # noqa: S608 - our own text
        f" WHERE {' AND '.join(where)} ORDER BY {order}"
    )
    for block, n, oldest, newest, services_, first, ids in db.execute(sql, values):
        if not wanted or _allowed(db, block, wanted, first, ids):
            yield Block(block, n, oldest, newest, json.loads(services_))


def _allowed(db: sqlite3.Connection, block: int, wanted: WordFilter, first: bytes, ids: bytes | None) -> bool:
    """Whether a block can hold a match; `first` are its words, or its phrases where those come first."""
    if wanted.needs_phrases:
        if not wanted.allows_phrases(first):
            return False
        first, ids = db.execute("SELECT words, ids FROM log_words WHERE block = ?", (block,)).fetchone()
    return wanted.allows(first, ids or b"")


def _named(query: LogQuery) -> tuple[str, list[str]]:
    """SQL on a facet `f` that holds for the services asked for, and its values."""
    if not query.services:
        return "", []
    return f" AND f.service IN ({','.join('?' * len(query.services))})", sorted(query.services)


def lines_of(db: sqlite3.Connection, block: Block) -> blocks.LogBlock:
    """The lines of a block; none where it is damaged, which is said."""
    return _undamaged(block, blocks.unpack_logs, _payload(db, block))


def _undamaged(
    block: Block, unpack: Callable[[bytes, int, Sequence[str]], blocks.LogBlock], payload: bytes
) -> blocks.LogBlock:
    try:
        return unpack(payload, block.n, block.services)
    except blocks.Damaged as error:
        log.error("a block of lines (%d) is damaged and left out: %s", block.id, error)
        return blocks.LogBlock([], b"", [], [], b"")


def _payload(db: sqlite3.Connection, block: Block) -> bytes:
    payload: bytes = db.execute("SELECT payload FROM log_data WHERE block = ?", (block.id,)).fetchone()[0]
    return payload


def _matching(db: sqlite3.Connection, block: Block, query: LogQuery) -> Iterator[tuple[int, int, str]]:
    unpacked = lines_of(db, block)
    if not unpacked.times:
        return
    for i, line in matching(unpacked, block.id, query):
        yield unpacked.times[i], block.id + i, line
