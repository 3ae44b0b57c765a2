"""The one writer: a bounded queue, a thread, and a transaction for whatever waits.

submit() gives a Ticket that is done once the transaction with the batch is committed, so an answer
given after Ticket.wait() is an answer for data on disk: killing the process loses nothing that was
acknowledged. A full queue raises Full at once, which the receivers pass on as "retry later".
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable

from dashcam.store import sqlite_file
from dashcam.store.log_store import LogStore
from dashcam.store.own_metrics import ReceiverMetrics
from dashcam.store.records import Batch
from dashcam.store.retention import Retention
from dashcam.store.settings import MIB, LocalSettings
from dashcam.store.span_store import SpanStore
from dashcam.store.sqlite_file import StoreError

log = logging.getLogger(__name__)

_TRANSACTION_RECORDS = 20_000
"""A transaction takes batches until it holds this many records."""

QUEUE_BYTES = 64 * MIB
"""What the records that wait may take in memory."""

_IDLE_SECONDS = 1.0
"""How often an idle writer looks for what has become too old."""


class Full(Exception):
    """More records wait than the queue may hold; try again later."""


class Unavailable(Exception):
    """The batch could not be stored; nothing of it is. Try again later."""


class Unstorable(Exception):
    """The batch holds what no database takes, and would not be stored however often it came again."""


class Ticket:
    """The fate of one batch: pending until it is committed, withdrawn or failed."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.error: Exception | None = None
        self.done = threading.Event()

    def settle(self, error: Exception | None = None) -> None:
        """Tell the one who waits."""
        self.error = error
        self.done.set()


class Writer:
    """Owns the database for writing. start() and stop() it; submit() from any thread."""

    def __init__(
        self, settings: LocalSettings, metrics: ReceiverMetrics, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._queue: deque[Ticket] = deque()
        self._waiting = 0
        self._bytes = 0
        self._ready = threading.Condition()
        self._stopping = False
        self.complaint = ""
        """Why the last transaction failed; empty where it did not."""
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._lock = sqlite_file.lock(settings.database)
        try:
            self._open()
        except (StoreError, sqlite3.DatabaseError) as error:
            if not sqlite_file.is_damaged(error) and not sqlite_file.is_damaged(error.__cause__):
                raise
            self._begin_anew(error)
        metrics.queue_capacity.set(settings.queue_records)
        metrics.limit.set(settings.store_max_mib * MIB)

    def _open(self) -> None:
        """Open the database and what writes into it."""
        max_bytes = self._settings.store_max_mib * MIB
        reserve = min(64 * MIB, max_bytes // 4)
        """What the write-ahead log and the largest transaction may take of the bound."""
        self._db = sqlite_file.open_writer(self._settings.database, wal_bytes=reserve // 4)
        self.spans = SpanStore(self._db)
        self.logs = LogStore(self._db)
        self._retention = Retention(
            self._db,
            self.spans,
            self.logs,
            target=max_bytes - reserve,
            slack=reserve // 4,
            max_seconds=self._settings.store_max_hours * 3600,
            metrics=self._metrics,
        )

    def _begin_anew(self, error: BaseException) -> None:
        """Move a damaged database aside and go on with an empty one."""
        if hasattr(self, "_db"):
            self._db.close()
        aside = sqlite_file.move_aside(self._settings.database)
        log.error("the database was damaged (%s) and is now %s; an empty one was begun", error, aside)
        self._open()

    @property
    def alive(self) -> bool:
        """Whether the thread runs and takes batches."""
        return self._thread.is_alive() and not self._stopping

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Write what waits, then close. Batches submitted from now on raise Unavailable."""
        with self._ready:
            self._stopping = True
            self._ready.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)
        self._db.close()
        self._lock.close()

    def submit(self, batch: Batch) -> Ticket:
        """Queue a batch. Raises Full or Unavailable, and then nothing of it is kept.

        A batch larger than the whole queue is taken when nothing else waits.
        """
        with self._ready:
            if self._stopping:
                raise Unavailable("the receiver is shutting down")
            records, size = self._waiting + len(batch), self._bytes + batch.weight
            if self._waiting and (records > self._settings.queue_records or size > QUEUE_BYTES):
                raise Full(
                    f"{self._waiting} records of {self._bytes} bytes wait for the database, the bounds are "
                    f"{self._settings.queue_records} and {QUEUE_BYTES}"
                )
            ticket = Ticket(batch)
            self._queue.append(ticket)
            self._count(batch, 1)
            self._ready.notify()
        return ticket

    def wait(self, ticket: Ticket, timeout: float) -> None:
        """Return once the batch is committed.

        Raises Unavailable when that failed or took too long, Unstorable where the batch itself is at fault.
        A batch that is still queued at the timeout is withdrawn; one that is being written is waited for,
        because "retry" for data that then gets stored would double it.
        """
        if not ticket.done.wait(timeout):
            with self._ready:
                if ticket in self._queue:
                    self._queue.remove(ticket)
                    self._count(ticket.batch, -1)
                    raise Unavailable(f"the database did not take the batch within {timeout:g} s")
            while not ticket.done.wait(1.0):
                if not self._thread.is_alive():
                    raise Unavailable("the database writer does not run")
        if ticket.error is not None:
            raise _refusal(ticket.error) from ticket.error

    def tail_states(self) -> list[tuple[int, int, bytes, int, int]]:
        """The stored positions of the log files. Call before start()."""
        return self._db.execute("SELECT device, inode, head, position, skipping FROM tail").fetchall()

    def _count(self, batch: Batch, sign: int) -> None:
        self._waiting += sign * len(batch)
        self._bytes += sign * batch.weight
        self._metrics.queue.set(self._waiting)

    def _run(self) -> None:
        while True:
            tickets = self._take()
            if tickets:
                self._write(tickets)
            elif self._stopping:
                return
            elif not self._transaction(lambda: self._retention.step(int(self._clock()))):
                self._look_through()

    def _look_through(self) -> None:
        """Begin anew where a reader met damage that no writing has touched."""
        if not sqlite_file.doubted(self._settings.database):
            return
        try:
            found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            found = str(error)
        if found != "ok":
            self._begin_anew(sqlite3.DatabaseError(found))

    def _take(self) -> list[Ticket]:
        """The tickets of the next transaction; empty when nothing came for a while, or at the end."""
        with self._ready:
            if not self._queue and not self._stopping:
                self._ready.wait(_IDLE_SECONDS)
            taken: list[Ticket] = []
            records = 0
            while self._queue and records < _TRANSACTION_RECORDS:
                ticket = self._queue.popleft()
                records += len(ticket.batch)
                taken.append(ticket)
            return taken

    def _write(self, tickets: list[Ticket]) -> None:
        started = time.perf_counter()
        error = self._transaction(lambda: self._store(tickets))
        if sqlite_file.is_damaged(error):
            error = self._transaction(lambda: self._store(tickets))
        if error is not None and len(tickets) > 1:
            # One batch that cannot be stored must not take the others along.
            for ticket in tickets:
                self._write([ticket])
            return
        self._metrics.transaction.observe(time.perf_counter() - started)
        with self._ready:
            for ticket in tickets:
                self._count(ticket.batch, -1)
        if error is None:
            self._metrics.records.labels("traces", "stored").inc(sum(len(t.batch.spans) for t in tickets))
            self._metrics.records.labels("logs", "stored").inc(sum(len(t.batch.logs) for t in tickets))
        for ticket in tickets:
            ticket.settle(error)

    def _store(self, tickets: list[Ticket]) -> None:
        received = int(self._clock())
        spans = [row for ticket in tickets for row in ticket.batch.spans]
        logs = [row for ticket in tickets for row in ticket.batch.logs]
        if spans:
            self.spans.write(spans, received)
        if logs:
            self.logs.write(logs, received)
        for ticket in tickets:
            self.logs.write_tail(ticket.batch.tail)
        self._retention.step(received)

    def _transaction(self, work: Callable[[], None]) -> Exception | None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            work()
            self._db.execute("COMMIT")
        except (
            Exception
        ) as error:  # whatever it is, the thread must live on and those who wait must hear of it
            log.error("a write transaction failed", exc_info=error)
            self._metrics.failures.labels(type(error).__name__).inc()
            self._roll_back()
            if sqlite_file.is_damaged(error):
                self._begin_anew(error)
            self.complaint = f"the last write failed: {error}"
            return error
        self.complaint = ""
        return None

    def _roll_back(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self.spans.forget()
            self.logs.forget()
        except sqlite3.Error as error:
            log.error("the database does not answer", exc_info=error)


def _refusal(error: Exception) -> Exception:
    """Whose fault a failed transaction is: values that Python or SQLite cannot hold are the sender's."""
    if isinstance(error, ValueError | OverflowError | TypeError | sqlite3.DataError | sqlite3.IntegrityError):
        return Unstorable(f"it holds what cannot be stored: {error}")
    return Unavailable(str(error))
