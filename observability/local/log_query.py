"""Finding log lines.

A search goes through blocks, newest first, that can hold a match by their summaries, and compares
the lines themselves. `q` is made of terms separated by spaces, `"…"` makes one term of several words;
a line matches where every term is in the text of its values, as a substring and in any case.
"""

from __future__ import annotations

import heapq
import json
import shlex
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from observability.local import blocks
from observability.local.values import plain_text

BUDGET_SECONDS = 2.0
"""How long counting goes on once the page is full; after it the total is a lower bound."""


@dataclass(frozen=True)
class LogQuery:
    """What is asked. Times in microseconds, both ends included; `level` a severity number and above."""

    services: frozenset[str] = frozenset()
    trace: bytes = b""
    level: int = 0
    terms: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    start: int = -(2**63)
    end: int = 2**63 - 1
    after: int = 0
    """Only lines stored later than this one, by seq."""
    before: tuple[int, int] | None = None
    """Only lines older than this one, by (time, seq)."""
    limit: int = 100
    newest_first: bool = True


@dataclass
class Found:
    """The page of a search. `lines` are (time, seq, JSON), `exact` whether `total` is."""

    lines: list[tuple[int, int, str]] = field(default_factory=list)
    total: int = 0
    exact: bool = True
    latest: int = 0
    """The seq of the newest line stored, matching or not: where a live follow goes on."""


def split_terms(text: str) -> tuple[str, ...]:
    """The terms of a `q`. An unclosed quote is an ordinary character."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.quotes = '"'
    lexer.escape = ""
    lexer.commenters = ""
    try:
        terms = list(lexer)
    except ValueError:
        terms = text.split()
    return tuple(term.lower() for term in terms if term)


def search(db: sqlite3.Connection, query: LogQuery) -> Found:
    """The first `limit` lines in the order asked for, and how many match in all."""
    found = Found()
    row = db.execute("SELECT id + n - 1 FROM log_block ORDER BY id DESC LIMIT 1").fetchone()
    found.latest = row[0] if row else 0
    sign = 1 if query.newest_first else -1
    page: list[tuple[int, int, str]] = []  # a heap whose first is the line that goes first when it is full
    deadline = 0.0
    for block, n, oldest, newest, services in _blocks(db, query):
        full = len(page) >= query.limit
        bound = newest if query.newest_first else -oldest
        if full and bound < page[0][0]:
            # No line of this block or a later one belongs on the page: what is left is to count.
            deadline = deadline or time.monotonic() + BUDGET_SECONDS
            if time.monotonic() > deadline:
                found.exact = False
                break
            if _plain(query) and query.start <= oldest and newest <= query.end:
                found.total += _count(db, block, query)
                continue
        for moment, seq, line in _matching(db, block, n, services, query):
            found.total += 1
            if query.before is not None and (moment, seq) >= query.before:
                continue
            entry = (sign * moment, sign * seq, line)
            if len(page) < query.limit:
                heapq.heappush(page, entry)
            elif entry > page[0]:
                heapq.heapreplace(page, entry)
    found.lines = [(sign * a, sign * b, line) for a, b, line in sorted(page, reverse=True)]
    return found


def histogram(db: sqlite3.Connection, query: LogQuery, edges: list[int]) -> tuple[list[dict[int, int]], bool]:
    """How many lines match between each two edges, by severity number, and whether that is all."""
    counts: list[dict[int, int]] = [{} for _ in edges[1:]]
    first, width = edges[0], edges[1] - edges[0]
    deadline = time.monotonic() + BUDGET_SECONDS
    for block, n, oldest, newest, services in _blocks(db, query):
        if time.monotonic() > deadline:
            return counts, False
        low, high = (oldest - first) // width, (newest - first) // width
        whole = query.start <= oldest and newest <= query.end
        if _plain(query) and whole and low == high and 0 <= low < len(counts):
            for level, number in _levels(db, block, query):
                counts[low][level] = counts[low].get(level, 0) + number
            continue
        for moment, level in _moments(db, block, n, services, query):
            index = (moment - first) // width
            if 0 <= index < len(counts):
                counts[index][level] = counts[index].get(level, 0) + 1
    return counts, True


def services(db: sqlite3.Connection) -> list[str]:
    """The services of which lines are stored, sorted."""
    found: set[str] = set()
    for (names,) in db.execute("SELECT DISTINCT services FROM log_block"):
        found.update(json.loads(names))
    return sorted(found)


def _plain(query: LogQuery) -> bool:
    """Whether the counts by service and level answer the query for a whole block."""
    return not (query.terms or query.fields or query.trace or query.after)


def _blocks(db: sqlite3.Connection, query: LogQuery) -> Iterator[tuple[int, int, int, int, list[str]]]:
    """(id, n, min_time, max_time, services) of the blocks that can hold a match, in the order asked for."""
    where, values = ["b.max_time >= ?", "b.min_time <= ?"], [query.start, query.end]
    if query.after:
        where.append("b.id + b.n > ?")
        values.append(query.after + 1)
    needles = [piece for term in query.terms for piece in blocks.pieces(term)]
    for name, text in query.fields:
        needles += blocks.pieces(f"{name} {text}")
    patterns: list[Any] = [query.trace] if query.trace else []
    where += ["instr(w.traces, ?)"] * len(patterns)
    patterns += [needle.encode() for needle in dict.fromkeys(needles)]
    where += ["instr(w.words, ?)"] * len(dict.fromkeys(needles))
    if query.level or query.services:
        marks = ",".join("?" * len(query.services))
        named = f" AND f.service IN ({marks})" if query.services else ""
        where.append(f"EXISTS (SELECT 1 FROM log_facet f WHERE f.block = b.id AND f.level >= ?{named})")  # noqa: S608
        patterns += [query.level, *sorted(query.services)]
    order = "b.max_time DESC" if query.newest_first else "b.min_time"
    sql = (
        "SELECT b.id, b.n, b.min_time, b.max_time, b.services FROM log_block b"  # noqa: S608 - our own text
        f"{' JOIN log_words w ON w.block = b.id' if query.trace or needles else ''}"
        f" WHERE {' AND '.join(where)} ORDER BY {order}"
    )
    for block, n, oldest, newest, services in db.execute(sql, (*values, *patterns)):
        yield block, n, oldest, newest, json.loads(services)


def _count(db: sqlite3.Connection, block: int, query: LogQuery) -> int:
    return sum(n for _, n in _levels(db, block, query))


def _levels(db: sqlite3.Connection, block: int, query: LogQuery) -> list[tuple[int, int]]:
    """(level, lines) of a block, of the services and levels asked for."""
    return [
        (level, n)
        for service, level, n in db.execute(
            "SELECT service, level, n FROM log_facet WHERE block = ?", (block,)
        )
        if level >= query.level and (not query.services or service in query.services)
    ]


def _matching(
    db: sqlite3.Connection, block: int, n: int, services: list[str], query: LogQuery
) -> Iterator[tuple[int, int, str]]:
    unpacked = _load(db, block, n, services)
    lines = unpacked.lines()
    for i in _matches(unpacked, lines, block, query):
        yield unpacked.times[i], block + i, lines[i]


def _moments(
    db: sqlite3.Connection, block: int, n: int, services: list[str], query: LogQuery
) -> Iterator[tuple[int, int]]:
    unpacked = _load(db, block, n, services)
    lines = unpacked.lines() if query.terms or query.fields or query.trace else []
    for i in _matches(unpacked, lines, block, query):
        yield unpacked.times[i], unpacked.levels[i]


def _load(db: sqlite3.Connection, block: int, n: int, services: list[str]) -> blocks.LogBlock:
    (payload,) = db.execute("SELECT payload FROM log_data WHERE block = ?", (block,)).fetchone()
    return blocks.unpack_logs(payload, n, services)


def _matches(block: blocks.LogBlock, lines: list[str], first: int, query: LogQuery) -> Iterator[int]:
    """The indexes of the lines that match, in the order of their seq."""
    wanted = {i for i, name in enumerate(block.services) if not query.services or name in query.services}
    needles = [piece for term in query.terms for piece in blocks.pieces(term)]
    for name, text in query.fields:
        needles += blocks.pieces(f"{name} {text}")
    trace = query.trace.hex()
    for i, (moment, level, service) in enumerate(
        zip(block.times, block.levels, block.service_indexes, strict=True)
    ):
        if not (query.start <= moment <= query.end and level >= query.level and service in wanted):
            continue
        if first + i <= query.after:
            continue
        if (needles or trace or query.fields) and not _line_matches(lines[i], needles, trace, query):
            continue
        yield i


def _line_matches(line: str, needles: list[str], trace: str, query: LogQuery) -> bool:
    lowered = line.lower()
    if any(needle not in lowered for needle in needles):
        return False
    fields = orjson.loads(line)
    if trace and str(fields.get("trace_id", "")).lower().rjust(32, "0") != trace:
        return False
    if any(text not in _texts(fields, name) for name, text in query.fields):
        return False
    if not query.terms:
        return True
    text = searchable(fields)
    return all(term in text for term in query.terms)


def searchable(fields: Any) -> str:
    """The lower-case text of a line's values that terms are looked for in."""
    parts: list[str] = []
    todo: list[Any] = [fields]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, list):
            todo += value
        else:
            parts.append(plain_text(value))
    return "\n".join(reversed(parts)).lower()


def _texts(fields: dict[str, Any], name: str) -> list[str]:
    """The texts of a field: by its own name, or by the path of names that leads into nested objects."""
    texts = [plain_text(fields[name])] if name in fields else []
    head, dot, rest = name.partition(".")
    while dot:
        if isinstance(inner := fields.get(head), dict):
            texts += _texts(inner, rest)
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return texts
