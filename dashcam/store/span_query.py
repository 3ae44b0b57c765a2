"""Finding traces.

A search goes through blocks, newest first, that can hold a match by their summaries; in those it
compares the narrow span rows; the traces of the rows that match are then decoded and the match is
confirmed on the spans themselves (see tokens.py for why that is needed).
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from dashcam.store import blocks, tokens
from dashcam.store.matching import KINDS, kind_number, matches, status_wanted, token_key
from dashcam.store.needles import AllOf

log = logging.getLogger(__name__)

T = TypeVar("T")

ANSWER_BYTES = 8 * 1024 * 1024
"""About what the traces of one answer may take, encoded; shown they are some ten times that."""

_SPAN_BYTES = 400
_ELEMENT_BYTES = 48
_BATCH = 50
"""Traces that are decoded at a time while a search looks for more."""

SEARCH_SECONDS = 10.0
"""How long a search looks for more traces; a query whose tags seem to match but do not can be endless."""


@dataclass(frozen=True)
class TraceQuery:
    """What Jaeger's search asks. Times and durations in nanoseconds, both ends included; None is open."""

    service: str = ""
    operation: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    start_min: int | None = None
    start_max: int | None = None
    duration_min: int | None = None
    duration_max: int | None = None
    limit: int = 100


@dataclass
class Trace:
    """A trace as it was received, its resources in order of arrival.

    `cut` says that it has more spans, for which an answer had no room.
    """

    trace_id: bytes
    data: TracesData
    cut: bool = False


class Room:
    """How much an answer may still take."""

    def __init__(self, size: int = ANSWER_BYTES) -> None:
        self._left = size

    @property
    def full(self) -> bool:
        return self._left <= 0

    def take(self, span: Span) -> None:
        """Reckon with a span."""
        inside = len(span.attributes) + len(span.links) + sum(1 + len(e.attributes) for e in span.events)
        self._left -= _SPAN_BYTES + span.ByteSize() + _ELEMENT_BYTES * inside


def services(db: sqlite3.Connection) -> list[str]:
    """The services of which spans are stored, sorted."""
    return [name for (name,) in db.execute("SELECT DISTINCT service FROM operation ORDER BY service")]


def operations(db: sqlite3.Connection, service: str, kind: str = "") -> list[tuple[str, str]]:
    """The (name, kind) of a service's operations, sorted; kind as Jaeger writes it, empty for unspecified."""
    rows = db.execute("SELECT name, kind FROM operation WHERE service = ? ORDER BY name, kind", (service,))
    found = [(name, KINDS.get(number, "")) for name, number in rows]
    return [item for item in found if not kind or item[1] == kind]


def links(db: sqlite3.Connection, first: int, last: int) -> list[tuple[str, str, int]]:
    """(parent, child, calls) between services, of the minutes that touch [first, last] nanoseconds."""
    minute = 60_000_000_000
    return db.execute(
        "SELECT parent, child, sum(n) FROM link WHERE minute BETWEEN ? AND ?"
        " GROUP BY parent, child ORDER BY parent, child",
        (first // minute, last // minute),
    ).fetchall()


def load(db: sqlite3.Connection, trace_ids: Iterable[bytes], room: Room | None = None) -> list[Trace]:
    """The traces that are stored, of those asked for, in that order; cut where there is no more room."""
    wanted = list(dict.fromkeys(trace_ids))
    room = room or Room()
    found: dict[bytes, Trace] = {}
    for block, mine in places(db, wanted):
        if room.full:
            for trace_id in mine & found.keys():
                found[trace_id].cut = True
            continue
        (payload,) = db.execute("SELECT payload FROM span_data WHERE block = ?", (block,)).fetchone()
        try:
            data = blocks.unpack_spans(payload)
        except blocks.Damaged as error:
            log.error("a block of spans (%d) is damaged and left out: %s", block, error)
            continue
        for resource_spans in data.resource_spans:
            _collect(resource_spans, mine, found, room)
    return [found[trace_id] for trace_id in wanted if trace_id in found]


def places(db: sqlite3.Connection, trace_ids: Iterable[bytes]) -> list[tuple[int, set[bytes]]]:
    """The blocks that hold spans of the traces, oldest first, each with those it has spans of."""
    found: dict[int, set[bytes]] = {}
    for trace_id in trace_ids:
        for (block,) in db.execute(
            "SELECT DISTINCT (SELECT max(id) FROM span_block WHERE id <= seq)"
            " FROM span_trace WHERE trace = ?",
            (trace_id,),
        ):
            found.setdefault(block, set()).add(trace_id)
    return sorted(found.items())


def split(data: TracesData, trace_ids: Collection[bytes]) -> list[Trace]:
    """The traces of a message that holds spans of several, in the order of their ids."""
    found: dict[bytes, Trace] = {}
    for resource_spans in data.resource_spans:
        _collect(resource_spans, trace_ids, found, Room())
    return [found[trace_id] for trace_id in trace_ids if trace_id in found]


class Found(NamedTuple, Generic[T]):
    """What a search found; `complete` is false when it gave up before it had seen everything."""

    traces: list[T]
    complete: bool


def search(db: sqlite3.Connection, query: TraceQuery) -> Found[Trace]:
    """The traces that have a span which matches the whole query; the newest match first.

    At most `query.limit` of them, those that can be found within SEARCH_SECONDS, and those that there is
    room for; the first one may be cut.
    """
    room = Room()

    def accept(trace_ids: list[bytes]) -> list[Trace]:
        loaded = load(db, trace_ids, room)
        whole = [trace for trace in loaded if not trace.cut]
        return _confirmed(query, whole or loaded[:1])

    return _search(db, query, accept, room)


def find(db: sqlite3.Connection, query: TraceQuery) -> Found[bytes]:
    """The ids of the traces that :func:`search` finds, which are decoded only where tags are asked for."""
    if not any(token_key(key) for key in query.attributes):
        return _search(db, query, lambda trace_ids: trace_ids, Room())
    found, complete = search(db, query)
    return Found([trace.trace_id for trace in found], complete)


def _search(
    db: sqlite3.Connection, query: TraceQuery, accept: Callable[[list[bytes]], list[T]], room: Room
) -> Found[T]:
    """What `accept` makes of the candidates, until there are enough or there is no more room."""
    deadline = time.monotonic() + SEARCH_SECONDS
    complete = True
    found: list[T] = []
    seen: set[bytes] = set()
    pending: list[bytes] = []
    for trace_id in _candidates(db, query, deadline):
        if trace_id in seen:
            continue
        seen.add(trace_id)
        pending.append(trace_id)
        if len(pending) >= min(query.limit - len(found), _BATCH):
            found += accept(pending)
            pending = []
            complete = time.monotonic() < deadline and not room.full
            if len(found) >= query.limit or not complete:
                break
    found += accept(pending) if pending else []
    complete = complete and not room.full and time.monotonic() < deadline
    return Found(found[: query.limit], complete or len(found) >= query.limit)


def _confirmed(query: TraceQuery, traces: Iterable[Trace]) -> list[Trace]:
    starts = _bounds(query.start_min, query.start_max)
    durations = _bounds(query.duration_min, query.duration_max)
    return [
        trace
        for trace in traces
        if matches(trace.data, query.service, query.operation, query.attributes, starts, durations)
    ]


def _candidates(db: sqlite3.Connection, query: TraceQuery, deadline: float) -> Iterator[bytes]:
    """Trace ids of span rows that may match, by start time, the newest first; no block after `deadline`."""
    ops = _operation_ids(db, query)
    if not ops:
        return
    groups = _tag_tokens(db, query)
    wanted = AllOf(groups)
    starts = _bounds(query.start_min, query.start_max)
    durations = _bounds(query.duration_min, query.duration_max)
    status = status_wanted(query.attributes)
    # All text put into these statements is made here: numbers, column names and placeholders.
    join, column = (" JOIN span_tags t ON t.block = b.id", "t.tokens") if wanted else ("", "NULL")
    errors = " AND f.errors > 0" if status == 2 else ""
    cursor = db.execute(
        f"SELECT b.id, b.n, b.max_start, {column} FROM span_block b{join}"  # noqa: S608 - see above
        " WHERE b.max_start >= ? AND b.min_start <= ? AND EXISTS (SELECT 1 FROM span_facet f"
        f" WHERE f.block = b.id AND f.op IN ({ops}) AND f.max_start >= ? AND f.min_start <= ?"
        f" AND f.max_duration >= ? AND f.min_duration <= ?{errors}) ORDER BY b.max_start DESC",
        (*starts, *starts, *durations),
    )
    tags = "".join(f" AND ({' OR '.join(['instr(tokens, ?)'] * len(group))})" for group in groups)
    sql = (
        f"SELECT start, trace FROM span WHERE seq BETWEEN ? AND ? AND op IN ({ops})"  # noqa: S608 - see above
        f" AND start BETWEEN ? AND ? AND duration BETWEEN ? AND ?{_STATUS_SQL[status]}{tags}"
    )
    values = (*starts, *durations, *(token for group in groups for token in group))
    # A span row is given out once no block that is still to come can hold a newer one.
    waiting: list[tuple[int, bytes]] = []
    for block, n, newest, tokens_ in cursor:
        waiting.sort()
        while waiting and waiting[-1][0] >= newest:
            yield waiting.pop()[1]
        if time.monotonic() >= deadline:  # thousands of blocks may hold no candidate at all
            break
        if tokens_ is None or wanted.within(tokens_):
            waiting += db.execute(sql, (block, block + n - 1, *values))
    waiting.sort()
    while waiting:
        yield waiting.pop()[1]


_STATUS_SQL = {
    None: "",
    -1: " AND 0",
    0: " AND status = 0",
    1: " AND status = 1",
    2: " AND status = 2",
    -2: " AND status <> 2",
}


def _operation_ids(db: sqlite3.Connection, query: TraceQuery) -> str:
    """The operations a query allows, as the inside of an SQL IN; empty where there are none."""
    where, values = ["1"], []
    for column, value in (("service", query.service), ("name", query.operation)):
        if value:
            where.append(f"{column} = ?")
            values.append(value)
    if "span.kind" in query.attributes:
        where.append(f"kind = {kind_number(query.attributes['span.kind'])}")
    condition = " AND ".join(where)
    ids = [str(row[0]) for row in db.execute(f"SELECT id FROM operation WHERE {condition}", values)]  # noqa: S608
    return ",".join(ids)


def _tag_tokens(db: sqlite3.Connection, query: TraceQuery) -> list[list[bytes]]:
    """For each tag of the query, the tokens of which a matching span has one."""
    names = [query.service] if query.service else services(db)
    return [
        [token for name in names for token in tokens.candidates(indexed, text, name)]
        for key, text in query.attributes.items()
        # The text of a list or a map does not tell the types of what is in it.
        if (indexed := token_key(key)) and text[:1] not in ("[", "{")
    ]


def _bounds(low: int | None, high: int | None) -> tuple[int, int]:
    """Both ends as SQLite can hold them."""
    clamp = 2**63 - 1
    return (
        -clamp if low is None else max(-clamp, min(low, clamp)),
        clamp if high is None else max(-clamp, min(high, clamp)),
    )


def _collect(
    resource_spans: ResourceSpans, wanted: Collection[bytes], found: dict[bytes, Trace], room: Room
) -> None:
    """Add the wanted spans under one resource to their traces."""
    for scope_spans in resource_spans.scope_spans:
        mine: dict[bytes, list[Span]] = {}
        for span in scope_spans.spans:
            if span.trace_id in wanted:
                mine.setdefault(span.trace_id, []).append(span)
                room.take(span)
        for trace_id, spans in mine.items():
            trace = found.setdefault(trace_id, Trace(trace_id, TracesData()))
            _scope(trace.data, resource_spans, scope_spans).spans.extend(spans)


def _scope(trace: TracesData, resource_spans: ResourceSpans, scope_spans: ScopeSpans) -> ScopeSpans:
    """Where a span of this resource and scope belongs in a trace; made where it is not there yet."""
    for known in trace.resource_spans:
        if known.resource == resource_spans.resource and known.schema_url == resource_spans.schema_url:
            resource = known
            break
    else:
        resource = trace.resource_spans.add(schema_url=resource_spans.schema_url)
        resource.resource.CopyFrom(resource_spans.resource)
    for scope in resource.scope_spans:
        if scope.scope == scope_spans.scope and scope.schema_url == scope_spans.schema_url:
            return scope
    made = resource.scope_spans.add(schema_url=scope_spans.schema_url)
    made.scope.CopyFrom(scope_spans.scope)
    return made
