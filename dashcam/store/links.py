"""Counting who calls whom, as spans arrive.

A span and its parent may come in any order and in different requests, so both sides are remembered
for a while; each pair is counted once, in the minute the child started. What a restart forgets are
the pairs of which one half arrived before it.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections import Counter
from collections.abc import Sequence

from dashcam.store.records import SpanRow

_REMEMBERED = 50_000
_MINUTE = 60_000_000_000


class LinkCounter:
    """Adds to the `link` table inside the caller's transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._services: dict[bytes, str] = {}
        self._waiting: dict[bytes, Counter[tuple[int, str]]] = {}
        self._entries = 0

    def forget(self) -> None:
        """Forget the spans seen; after a rollback they come again."""
        self._services.clear()
        self._waiting.clear()
        self._entries = 0

    def count(self, rows: Sequence[SpanRow]) -> None:
        """Count the links that these spans complete."""
        links: Counter[tuple[int, str, str]] = Counter()
        for row in rows:
            key = row.trace + row.span
            self._services[key] = row.service
            for (minute, child), calls in self._taken(key).items():
                links[minute, row.service, child] += calls
            if any(row.parent):
                self._child(row, links)
        for old in list(itertools.islice(self._services, max(0, len(self._services) - _REMEMBERED))):
            del self._services[old]
        while self._entries > _REMEMBERED:  # a dict keeps the order of insertion
            self._taken(next(iter(self._waiting)))
        self._db.executemany(
            "INSERT INTO link VALUES (?, ?, ?, ?)"
            " ON CONFLICT (minute, parent, child) DO UPDATE SET n = n + excluded.n",
            [(*link, n) for link, n in links.items()],
        )

    def _child(self, row: SpanRow, links: Counter[tuple[int, str, str]]) -> None:
        parent = self._services.get(row.trace + row.parent)
        minute = row.start // _MINUTE
        if parent is None:
            waiting = self._waiting.setdefault(row.trace + row.parent, Counter())
            self._entries += (minute, row.service) not in waiting
            waiting[minute, row.service] += 1
        else:
            links[minute, parent, row.service] += 1

    def _taken(self, key: bytes) -> Counter[tuple[int, str]]:
        found = self._waiting.pop(key, Counter[tuple[int, str]]())
        self._entries -= len(found)
        return found
