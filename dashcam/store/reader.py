"""Read-only connections to the database, one a thread, opened when first used.

A query runs in one read transaction, so it sees one state of the store however long it takes.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from dashcam.store import sqlite_file
from dashcam.store.sqlite_file import StoreError


class Reader:
    """Hands each thread its connection. `with reader.snapshot() as db:` is one query."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """One consistent view. Raises StoreError where the database cannot be read."""
        db = self._connection()
        try:
            db.execute("BEGIN")
            yield db
        except sqlite3.Error as error:
            self.close()
            if sqlite_file.is_damaged(error):
                sqlite_file.doubt(self._path)
            raise StoreError(f"cannot read {self._path}: {error}") from error
        finally:
            with contextlib.suppress(sqlite3.Error):
                if db.in_transaction:
                    db.execute("COMMIT")

    def close(self) -> None:
        """Close this thread's connection; the next query opens another."""
        db = getattr(self._local, "db", None)
        if db is not None:
            db.close()
            self._local.db = None

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection; a new one when the file was deleted or made anew since."""
        try:
            status = os.stat(self._path)
        except OSError as error:
            self.close()
            raise StoreError(f"cannot open {self._path}: {error}; is the receiver running?") from None
        file = (status.st_dev, status.st_ino)
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None or self._local.file != file:
            self.close()
            db = self._local.db = sqlite_file.open_reader(self._path)
            self._local.file = file
        return db
