"""Writing spans: blocks, their summaries, merging of small blocks and deletion of the oldest."""

from __future__ import annotations

import itertools
import logging
import sqlite3
from collections.abc import Sequence

from dashcam.store import blocks
from dashcam.store.links import LinkCounter
from dashcam.store.records import SpanRow

log = logging.getLogger(__name__)

_OPERATIONS_REMEMBERED = 50_000


class SpanStore:
    """The span tables. Every method runs inside the caller's transaction; call forget() after a rollback."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._operations: dict[tuple[str, str, int], int] = {}
        self._links = LinkCounter(db)
        self.forget()

    def forget(self) -> None:
        """Read again from the database what is remembered of it."""
        self._operations.clear()
        last = self._db.execute("SELECT id + n FROM span_block ORDER BY id DESC LIMIT 1").fetchone()
        self._next = max(last[0] if last else 1, self._stored_next())
        self._open = open_blocks(self._db, "span_block", "span_data", blocks.SPANS)
        self._links.forget()

    def write(self, rows: Sequence[SpanRow], received: int) -> None:
        """Store spans received at `received` (seconds since the epoch)."""
        for first, last, size in blocks.runs(blocks.span_bytes(rows), blocks.SPANS):
            self._write_block(rows[first:last], received)
            made = blocks.Small(self._next - (last - first), last - first, size)
            if last < len(rows) or blocks.is_full([made], blocks.SPANS):
                self._open.clear()
            else:
                self._open.append(made)
        self._links.count(rows)
        if blocks.is_full(self._open, blocks.SPANS):
            self._merge()

    def delete_oldest(self) -> int:
        """Delete the oldest block; how many spans went."""
        row = self._db.execute("SELECT id, n FROM span_block ORDER BY id LIMIT 1").fetchone()
        if row is None:
            return 0
        block, n = row
        bounds = (block, block + n - 1)
        run = self._db.execute
        run(
            "DELETE FROM span_trace WHERE (trace, seq) IN"
            " (SELECT trace, seq FROM span WHERE seq BETWEEN ? AND ?)",
            bounds,
        )
        run("DELETE FROM span WHERE seq BETWEEN ? AND ?", bounds)
        ops = [op for (op,) in run("SELECT op FROM span_facet WHERE block = ?", (block,))]
        run("DELETE FROM span_facet WHERE block = ?", (block,))
        run("DELETE FROM span_tags WHERE block = ?", (block,))
        run("DELETE FROM span_data WHERE block = ?", (block,))
        run("DELETE FROM span_block WHERE id = ?", (block,))
        for op in ops:
            if not run("SELECT 1 FROM span_facet WHERE op = ? LIMIT 1", (op,)).fetchone():
                run("DELETE FROM operation WHERE id = ?", (op,))
                self._operations.clear()
        self._open = [small for small in self._open if small.id != block]
        return int(n)

    def _stored_next(self) -> int:
        row = self._db.execute("SELECT value FROM counter WHERE name = 'next_span'").fetchone()
        return int(row[0]) if row else 1

    def _write_block(self, rows: Sequence[SpanRow], received: int) -> None:
        block = self._next
        ops = [self._operation((row.service, row.name, row.kind)) for row in rows]
        run = self._db.execute
        run(
            "INSERT INTO span_block VALUES (?, ?, ?, ?, ?)",
            (block, len(rows), received, min(r.start for r in rows), max(r.start for r in rows)),
        )
        self._db.executemany(
            "INSERT INTO span VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (seq, op, row.start, row.duration, row.status, row.trace, row.span, row.parent, row.tokens)
                for seq, op, row in zip(itertools.count(block), ops, rows)
            ],
        )
        firsts: dict[bytes, int] = {}
        for i, row in enumerate(rows):
            firsts.setdefault(row.trace, block + i)
        self._db.executemany("INSERT INTO span_trace VALUES (?, ?)", firsts.items())
        self._db.executemany(
            "INSERT INTO span_facet VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _facets(block, ops, rows)
        )
        run("INSERT INTO span_tags VALUES (?, ?)", (block, blocks.join_tokens({r.tokens for r in rows})))
        run("INSERT INTO span_data VALUES (?, ?)", (block, blocks.pack_spans(rows)))
        self._next += len(rows)
        run("INSERT OR REPLACE INTO counter VALUES ('next_span', ?)", (self._next,))

    def _operation(self, key: tuple[str, str, int]) -> int:
        number = self._operations.get(key)
        if number is None:
            self._db.execute("INSERT OR IGNORE INTO operation (service, name, kind) VALUES (?, ?, ?)", key)
            number = self._db.execute(
                "SELECT id FROM operation WHERE service = ? AND name = ? AND kind = ?", key
            ).fetchone()[0]
            if len(self._operations) >= _OPERATIONS_REMEMBERED:
                self._operations.clear()
            self._operations[key] = number
        return number

    def _merge(self) -> None:
        """Make one block of the small ones at the end. The seq of every span stays what it was."""
        ids = [small.id for small in self._open]
        self._open.clear()
        if len(ids) < 2:
            return
        first, bounds = ids[0], (ids[0], ids[-1])
        run = self._db.execute
        facets = run(
            "SELECT ?, op, sum(n), sum(errors), min(min_start), max(max_start), min(min_duration),"
            " max(max_duration) FROM span_facet WHERE block BETWEEN ? AND ? GROUP BY op",
            (first, *bounds),
        ).fetchall()
        whole = run(
            "SELECT ?, sum(n), max(received), min(min_start), max(max_start)"
            " FROM span_block WHERE id BETWEEN ? AND ?",
            (first, *bounds),
        ).fetchone()
        tokens = [blob for (blob,) in run("SELECT tokens FROM span_tags WHERE block BETWEEN ? AND ?", bounds)]
        payloads = run("SELECT payload FROM span_data WHERE block BETWEEN ? AND ? ORDER BY block", bounds)
        try:
            payload = blocks.join_spans([blob for (blob,) in payloads])
        except blocks.Damaged as error:
            log.error("blocks %d to %d of spans are not merged, one is damaged: %s", *bounds, error)
            return
        for table, column in (("span_block", "id"), *((name, "block") for name in _BLOCK_TABLES)):
            run(f"DELETE FROM {table} WHERE {column} BETWEEN ? AND ?", bounds)  # noqa: S608 - our names
        run("INSERT INTO span_block VALUES (?, ?, ?, ?, ?)", whole)
        self._db.executemany("INSERT INTO span_facet VALUES (?, ?, ?, ?, ?, ?, ?, ?)", facets)
        run("INSERT INTO span_tags VALUES (?, ?)", (first, blocks.join_tokens(tokens)))
        run("INSERT INTO span_data VALUES (?, ?)", (first, payload))


_BLOCK_TABLES = ("span_facet", "span_tags", "span_data")


def open_blocks(db: sqlite3.Connection, table: str, data: str, full: int) -> list[blocks.Small]:
    """The run of blocks at the end that together are not full, oldest first."""
    found: list[blocks.Small] = []
    rows = db.execute(f"SELECT id, n, payload FROM {table} JOIN {data} ON block = id ORDER BY id DESC")  # noqa: S608
    for block, n, payload in rows:
        try:
            small = blocks.Small(block, n, blocks.raw_bytes(payload))
        except blocks.Damaged:
            break  # a damaged block stays as it is
        if blocks.is_full([*found, small], full) or (found and block + n != found[-1].id):
            break
        found.append(small)
    return found[::-1]


def _facets(block: int, ops: Sequence[int], rows: Sequence[SpanRow]) -> list[tuple[int, ...]]:
    by_op: dict[int, list[SpanRow]] = {}
    for op, row in zip(ops, rows, strict=True):
        by_op.setdefault(op, []).append(row)
    return [
        (
            block,
            op,
            len(mine),
            sum(row.status == 2 for row in mine),
            min(row.start for row in mine),
            max(row.start for row in mine),
            min(row.duration for row in mine),
            max(row.duration for row in mine),
        )
        for op, mine in by_op.items()
    ]
