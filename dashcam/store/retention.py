"""Keeping the database within its bounds of size and age, a few blocks at a time.

Deletion happens inside the writer's transactions: a transaction that adds also removes, so the file
never grows past its bound and intake never stops for a clean-up. Pages that deletion frees are used
again; a file that is larger than its bound (because the bound was lowered) is given back to the system
in small steps.
"""

from __future__ import annotations

import sqlite3
from typing import Protocol

from dashcam.store import sqlite_file
from dashcam.store.own_metrics import ReceiverMetrics

_BLOCKS_A_STEP = 64
_PAGES_A_STEP = 256
_MINUTE = 60


class Deletable(Protocol):
    """A store whose oldest block can be deleted."""

    def delete_oldest(self) -> int: ...


class Retention:
    """Deletes the oldest blocks, of spans or lines whichever is older. Runs in the writer's transaction.

    Bytes in use stay at `target`; a file longer than that and `slack` is shortened.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        spans: Deletable,
        logs: Deletable,
        *,
        target: int,
        slack: int,
        max_seconds: float,
        metrics: ReceiverMetrics,
    ) -> None:
        self._db = db
        self._stores = {"span_block": ("traces", spans), "log_block": ("logs", logs)}
        self._target = target
        self._slack = slack
        self._max_seconds = max_seconds
        self._metrics = metrics

    def step(self, now: int) -> None:
        """Delete what is over the bounds, at most a few blocks unless the size demands more."""
        for _ in range(_BLOCKS_A_STEP):
            if not self._delete("age", received_before=now - self._max_seconds):
                break
        while (used := sqlite_file.used_bytes(self._db)) > self._target and self._delete("size"):
            pass
        self._metrics.used.set(used)
        self._db.execute("DELETE FROM link WHERE minute < ?", (int(now - self._max_seconds) // _MINUTE,))
        if sqlite_file.file_bytes(self._db) > self._target + self._slack:
            self._db.execute(f"PRAGMA incremental_vacuum({_PAGES_A_STEP})").fetchall()

    def _delete(self, reason: str, received_before: float = float("inf")) -> bool:
        """Delete the oldest block of both stores that was received before a moment; whether there was one."""
        oldest = [
            (row[0], table)
            for table in self._stores
            if (row := self._db.execute(f"SELECT received FROM {table} ORDER BY id LIMIT 1").fetchone())  # noqa: S608
        ]
        if not oldest or min(oldest)[0] >= received_before:
            return False
        signal, store = self._stores[min(oldest)[1]]
        self._metrics.deleted.labels(signal, reason).inc(store.delete_oldest())
        return True
