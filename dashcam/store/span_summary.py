"""What a list of results shows of a trace, from the narrow rows: no payload is decoded.

As Jaeger computes it from an adjusted trace (see adjust.py): a span received twice counts once, and a
server span that shares its id with a client span (Zipkin's way) is that one's child. Here "received
twice" means equal in id, parent, operation, times, status and tags.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from dashcam.store.span_query import places

_SERVER, _CLIENT = 2, 3
_ERROR = 2

ROOM = 24 * 1024 * 1024
"""What the rows of one answer may take in memory."""

_ROW_BYTES = 500


@dataclass
class ServiceSummary:
    """How many spans of a trace a service has, and how many of them are errors."""

    spans: int = 0
    errors: int = 0


@dataclass
class TraceSummary:
    """A trace in short. Times in nanoseconds; `root` is (service, operation), empty if all have parents."""

    trace_id: bytes
    start: int
    end: int
    root: tuple[str, str] = ("", "")
    orphans: int = 0
    services: dict[str, ServiceSummary] = field(default_factory=dict)


class _Row(NamedTuple):
    id: bytes
    parent: bytes
    start: int
    duration: int
    status: int
    tokens: bytes
    service: str
    name: str
    kind: int


_SQL = (
    "SELECT s.trace, s.id, s.parent, s.start, s.duration, s.status, s.tokens, o.service, o.name, o.kind"
    " FROM span s JOIN operation o ON o.id = s.op WHERE s.seq BETWEEN ? AND ?"
)


def summaries(db: sqlite3.Connection, trace_ids: Iterable[bytes]) -> list[TraceSummary]:
    """The summaries of the traces that are stored, of those asked for, in that order.

    Those for whose rows there is no ROOM are left out.
    """
    wanted = list(dict.fromkeys(trace_ids))
    found: dict[bytes, list[_Row]] = {}
    room = ROOM
    for block, mine in places(db, wanted):
        if room <= 0:
            for trace in mine:
                found.pop(trace, None)  # half of it would be wrong
            continue
        (n,) = db.execute("SELECT n FROM span_block WHERE id = ?", (block,)).fetchone()
        marks = ",".join("?" * len(mine))
        for trace, *row in db.execute(f"{_SQL} AND s.trace IN ({marks})", (block, block + n - 1, *mine)):
            made = _Row(*row)
            room -= _ROW_BYTES + len(made.tokens) + len(made.name)
            found.setdefault(trace, []).append(made)
    return [_summary(trace_id, found[trace_id]) for trace_id in wanted if trace_id in found]


def _summary(trace_id: bytes, rows: list[_Row]) -> TraceSummary:
    rows = _once(rows)
    ids = {row.id for row in rows}
    shared = {row.id for row in rows if row.kind == _CLIENT}
    summary = TraceSummary(
        trace_id, min(row.start for row in rows), max(row.start + row.duration for row in rows)
    )
    earliest: int | None = None
    for row in rows:
        service = summary.services.setdefault(row.service, ServiceSummary())
        service.spans += 1
        service.errors += row.status == _ERROR
        if row.kind == _SERVER and row.id in shared:
            continue
        if not any(row.parent):
            if earliest is None or row.start < earliest:
                earliest, summary.root = row.start, (row.service, row.name)
        elif row.parent not in ids:
            summary.orphans += 1
    return summary


def _once(rows: list[_Row]) -> list[_Row]:
    """The rows without those of spans that were received twice."""
    if len({row.id for row in rows}) == len(rows):
        return rows
    return list({row._replace(tokens=_sorted(row.tokens)): row for row in rows}.values())


def _sorted(tokens: bytes) -> bytes:
    """The tokens of a span in an order of their own: attributes may come in any."""
    return b"".join(sorted(tokens[i : i + 4] for i in range(0, len(tokens), 4)))
