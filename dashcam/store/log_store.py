"""Writing log lines: blocks, their summaries, merging of small blocks and deletion of the oldest."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from dashcam.store import blocks
from dashcam.store.records import LogRow, TailState
from dashcam.store.span_store import open_blocks

log = logging.getLogger(__name__)

_BLOCK_TABLES = ("log_facet", "log_words", "log_phrases", "log_traces", "log_data")


class LogStore:
    """The log tables. Every method runs inside the caller's transaction; call forget() after a rollback."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        """Read again from the database what is remembered of it."""
        last = self._db.execute("SELECT id + n FROM log_block ORDER BY id DESC LIMIT 1").fetchone()
        stored = self._db.execute("SELECT value FROM counter WHERE name = 'next_log'").fetchone()
        self._next = max(last[0] if last else 1, stored[0] if stored else 1)
        self._open = open_blocks(self._db, "log_block", "log_data", blocks.LINES)

    def write(self, rows: Sequence[LogRow], received: int) -> None:
        """Store lines received at `received` (seconds since the epoch)."""
        for first, last, size in blocks.runs([len(row.line) for row in rows], blocks.LINES):
            self._write_block(rows[first:last], received)
            made = blocks.Small(self._next - (last - first), last - first, size)
            if last < len(rows) or blocks.is_full([made], blocks.LINES):
                self._open.clear()
            else:
                self._open.append(made)
        if blocks.is_full(self._open, blocks.LINES):
            self._merge()

    def write_tail(self, states: Sequence[TailState]) -> None:
        """Remember how far the log files have been read; a position below zero forgets the file."""
        for state in states:
            if state.position < 0:
                self._db.execute(
                    "DELETE FROM tail WHERE device = ? AND inode = ?", (state.device, state.inode)
                )
            else:
                self._db.execute("INSERT OR REPLACE INTO tail VALUES (?, ?, ?, ?, ?)", state)

    def delete_oldest(self) -> int:
        """Delete the oldest block; how many lines went."""
        row = self._db.execute("SELECT id, n FROM log_block ORDER BY id LIMIT 1").fetchone()
        if row is None:
            return 0
        block, n = row
        for table in _BLOCK_TABLES:
            self._db.execute(f"DELETE FROM {table} WHERE block = ?", (block,))  # noqa: S608 - our names
        self._db.execute("DELETE FROM log_block WHERE id = ?", (block,))
        self._open = [small for small in self._open if small.id != block]
        return int(n)

    def _write_block(self, rows: Sequence[LogRow], received: int) -> None:
        block = self._next
        payload, services = blocks.pack_logs(rows)
        times = [row.time for row in rows]
        traces = b"".join({row.trace for row in rows if row.trace})
        text = blocks.lowered(b"\n".join([row.line for row in rows]))
        facets = Counter((row.service, row.level) for row in rows)
        self._insert(
            (block, len(rows), received, min(times), max(times), json.dumps(services)),
            [(block, service, level, n) for (service, level), n in facets.items()],
            traces,
            blocks.phrases(text),
            blocks.words(text),
            payload,
        )
        self._next += len(rows)
        self._db.execute("INSERT OR REPLACE INTO counter VALUES ('next_log', ?)", (self._next,))

    def _merge(self) -> None:
        """Make one block of the small ones at the end. The seq of every line stays what it was."""
        ids = [small.id for small in self._open]
        self._open.clear()
        if len(ids) < 2:
            return
        first, bounds = ids[0], (ids[0], ids[-1])
        run = self._db.execute
        whole = run(
            "SELECT sum(n), max(received), min(min_time), max(max_time) FROM log_block"
            " WHERE id BETWEEN ? AND ?",
            bounds,
        ).fetchone()
        facets = run(
            "SELECT ?, service, level, sum(n) FROM log_facet WHERE block BETWEEN ? AND ?"
            " GROUP BY service, level",
            (first, *bounds),
        ).fetchall()
        words = self._listed("log_words", "words, ids", bounds)
        phrases = self._listed("log_phrases", "phrases", bounds)
        traces = [t for (t,) in run("SELECT traces FROM log_traces WHERE block BETWEEN ? AND ?", bounds)]
        packed = run(
            "SELECT payload, n, services FROM log_data JOIN log_block ON id = block"
            " WHERE block BETWEEN ? AND ? ORDER BY block",
            bounds,
        ).fetchall()
        try:
            parts = [blocks.unpack_logs(payload, n, json.loads(services)) for payload, n, services in packed]
        except blocks.Damaged as error:
            log.error("blocks %d to %d of lines are not merged, one is damaged: %s", *bounds, error)
            return
        payload, services = blocks.join_logs(parts)
        for table, column in (("log_block", "id"), *((table, "block") for table in _BLOCK_TABLES)):
            run(f"DELETE FROM {table} WHERE {column} BETWEEN ? AND ?", bounds)  # noqa: S608 - our names
        self._insert(
            (first, *whole, json.dumps(services)),
            facets,
            _distinct_traces(traces),
            phrases,
            words,
            payload,
        )

    def _listed(self, table: str, columns: str, bounds: tuple[int, int]) -> set[bytes]:
        """What the lists in these columns of the blocks hold, each once."""
        rows = self._db.execute(f"SELECT {columns} FROM {table} WHERE block BETWEEN ? AND ?", bounds)  # noqa: S608 - our names
        return {item for lists in rows for one in lists for item in one.split(b"\n") if item}

    def _insert(
        self,
        block: tuple[Any, ...],
        facets: Sequence[tuple[Any, ...]],
        traces: bytes,
        phrases: Collection[bytes],
        words: Collection[bytes],
        payload: bytes,
    ) -> None:
        run, key = self._db.execute, block[0]
        ids = {word for word in words if len(word) >= blocks.ID_LENGTH and blocks.is_hex(word)}
        others = blocks.join_words(word for word in words if word not in ids)
        run("INSERT INTO log_block VALUES (?, ?, ?, ?, ?, ?)", block)
        self._db.executemany("INSERT INTO log_facet VALUES (?, ?, ?, ?)", facets)
        run("INSERT INTO log_words VALUES (?, ?, ?)", (key, others, blocks.join_words(ids)))
        run("INSERT INTO log_phrases VALUES (?, ?)", (key, blocks.join_words(phrases)))
        run("INSERT INTO log_traces VALUES (?, ?)", (key, traces))
        run("INSERT INTO log_data VALUES (?, ?)", (key, payload))


def _distinct_traces(blobs: Iterable[bytes]) -> bytes:
    return b"".join({blob[i : i + 16] for blob in blobs for i in range(0, len(blob), 16)})
