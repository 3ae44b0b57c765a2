"""Connections, transactions and the schema's version, the same on SQLite and PostgreSQL.

A reading transaction sees one state of the database for all its statements. On SQLite writing transactions
run one after the other (BEGIN IMMEDIATE); on PostgreSQL a writer locks the rows that its decision rests on.

Whatever the database does a transaction ends in time, and those that wait for it hold a share of the threads:
half of the connections at most are for writers, so that reading goes on while a lock is waited for.
"""

from __future__ import annotations

import fcntl
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from opentelemetry import trace

from services.storage import postgres
from services.storage.turns import NoTurn, Turns
from services.storage.versions import Versions

logger = logging.getLogger(__name__)

MIGRATING = 3600.0
"""Seconds that a change of the tables may take, whatever has become of the server meanwhile."""

_AWAY = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError, sqlite3.OperationalError)
"""What SQLAlchemy and the driver raise when the database is away, locked too long, full or read-only."""


@dataclass(frozen=True)
class Schema:
    """Whose tables they are: the service's name, its migrations, PostgreSQL's advisory lock around them.

    `unavailable` is the domain's error for a database that does not answer now. `own` keeps the tables in a
    PostgreSQL schema of the service's name, so that services can share one database.
    """

    service: str
    migrations: Path
    lock: int
    unavailable: type[Exception]
    own: bool = True


class Database:
    """A bounded pool of connections to the database at `url`.

    `timeout` (seconds) bounds what a transaction waits, for a connection, for locks and for its statements;
    on PostgreSQL all of it together. A `pool_size` below the server's threads leaves some of these for what
    needs no database. Nothing is opened before :meth:`prepare` or the first transaction. `seed` fills a
    database that is new.
    """

    def __init__(
        self,
        url: str,
        schema: Schema,
        *,
        pool_size: int,
        timeout: float,
        seed: Callable[[sa.Connection], None] = lambda connection: None,
    ) -> None:
        self._schema = schema
        self._url = sa.make_url(url)
        self._seed = seed
        self._prepared = False
        self._preparing = threading.Lock()
        self._writing = threading.Lock()
        self._timeout = timeout
        self._sqlite = self._url.get_backend_name() == "sqlite"
        self._must_write = not self._sqlite and postgres.must_take_changes(self._url)
        self.engine = sa.create_engine(
            self._url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=timeout,
            hide_parameters=True,  # an error's text goes to spans and log lines
            pool_pre_ping=not self._sqlite,
            connect_args=self._connect_args(),
        )
        if self._sqlite:
            sa.event.listen(self.engine, "connect", _on_sqlite_connect)
            sa.event.listen(self.engine, "begin", _on_sqlite_begin)
        else:
            postgres.listen(self.engine)
        patience = timeout / 5
        self._all = Turns(pool_size, patience=patience, limit=timeout)
        self._writers = Turns(max(1, pool_size // 2), patience=patience, limit=timeout)
        snapshot = {} if self._sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reader = self.engine.execution_options(**snapshot)
        self._writer = self.engine.execution_options(writing=True)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One state of the database for as long as the block lasts. Raises Unavailable."""
        with self._answering(), self._all.turn():
            self.prepare()
            with self._in_time(), self._reader.begin() as connection:
                yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction, on SQLite with no other writer beside it; an exception undoes it."""
        with self._answering(), self._writers.turn(), self._all.turn():
            self.prepare()
            with self._turn(), self._in_time(), self._writer.begin() as connection:
                yield connection

    def check(self) -> None:
        """Raise Unavailable unless the database answers, has its tables and takes changes."""
        with self.reading() as connection:
            connection.execute(sa.text("SELECT version_num FROM alembic_version")).one()
            if not self._must_write or postgres.takes_changes(connection):
                return
        self._leave()
        raise self._schema.unavailable("The database takes no changes: it is read-only, as a standby is")

    def prepare(self) -> None:
        """Bring the schema up to date, once; safe while other processes do the same. Raises Unavailable."""
        if self._prepared:
            return
        waited = not self._preparing.acquire(blocking=False)
        if waited and not self._preparing.acquire(timeout=self._timeout):
            raise self._schema.unavailable("The database's schema is being changed, which takes long")
        try:
            if not self._prepared:
                if waited:  # for one that failed: this one has no time left to fail in the same way
                    raise self._schema.unavailable("The database does not answer: one has just tried in vain")
                # One span around them: else each of the dozen statements would be a trace of its own.
                with self._answering(), self._tracer().start_as_current_span("migrate"), self._alone():
                    self._migrate()
                self._prepared = True
        finally:
            self._preparing.release()

    def prepare_if_there(self) -> None:
        """Bring the schema up to date where the database answers: a service also starts without it."""
        try:
            self.prepare()
        except self._schema.unavailable as error:
            logger.warning("starting without the database: %s", error)

    def close(self) -> None:
        """Close every connection; the next transaction opens new ones."""
        self.engine.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let this process's writers of a SQLite file in one by one.

        SQLite would do so too, but by sleeping ever longer between attempts: some writers wait a second
        while others overtake them. PostgreSQL has a queue of its own.
        """
        if not self._sqlite:
            yield
            return
        if not self._writing.acquire(timeout=self._timeout):
            raise self._schema.unavailable(
                f"The database does not answer: other changes took over {self._timeout:g} s"
            )
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except NoTurn as error:
            raise self._schema.unavailable(f"The database does not answer: {error}") from error
        except _AWAY as error:
            raise self._schema.unavailable(f"The database does not answer: {_reason(error)}") from error
        except sa.exc.DBAPIError as error:
            if not postgres.is_refused(error.orig):
                raise
            self._leave()
            raise self._schema.unavailable(f"The database takes no changes: {_reason(error)}") from error
        except OSError as error:
            raise self._schema.unavailable(f"The database cannot be opened: {error}") from error

    def _leave(self) -> None:
        """Give up the connections that are there: after a failover they lead to the wrong server."""
        self.engine.dispose()

    def _in_time(self, at_least: float = 0.0) -> AbstractContextManager[None]:
        return nullcontext() if self._sqlite else postgres.within(max(at_least, self._timeout))

    def _connect_args(self) -> dict[str, Any]:
        schema = self._schema
        if self._sqlite:
            return {"timeout": self._timeout}  # SQLite's busy_timeout
        path = schema.service if schema.own else None
        return postgres.arguments(self._url, schema.service, path, self._timeout)

    def _tracer(self) -> trace.Tracer:
        return trace.get_tracer(f"services.{self._schema.service}")

    def _alone(self) -> AbstractContextManager[Any]:
        """Keep other processes from migrating a SQLite file; PostgreSQL locks inside the transaction."""
        return _locked(Path(str(self._url.database)), self._timeout) if self._sqlite else nullcontext()

    def _migrate(self) -> None:
        if self._sqlite:
            # Cannot be done inside a transaction; SQLite remembers it in the file.
            with self.engine.connect() as connection:
                _driver(connection).execute("PRAGMA journal_mode = WAL").close()
        versions = Versions(self._schema.migrations)
        # A first connection does more than later ones, and is no request that has to be short.
        with self._in_time(at_least=2.0), self._writer.begin() as connection:
            if versions.are_at_the_last(connection):
                return
        with self._in_time(at_least=MIGRATING), self._writer.begin() as connection:
            if not self._sqlite:
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": self._schema.lock})
                # The limit of a statement is for requests; changing a large table takes what it takes.
                connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
                if self._schema.own:
                    connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {self._schema.service}"))
            if versions.upgrade(connection, self._schema.service):
                self._seed(connection)


@contextmanager
def _locked(path: Path, timeout: float) -> Iterator[None]:
    """Hold the lock file beside `path`, within `timeout` seconds. The folder is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + timeout
    with path.with_name(path.name + ".lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    reason = f"another process has been at its schema for over {timeout:g} s"
                    raise TimeoutError(reason) from None
                time.sleep(0.02)
        yield


def _reason(error: BaseException) -> str:
    error = getattr(error, "orig", None) or error
    lines = str(error).strip().splitlines()
    # Behind its first line the server's error quotes values; a connection's tells of each host there.
    return lines[0] if getattr(error, "sqlstate", None) else " ".join(lines)


def _driver(connection: sa.Connection) -> Any:
    return connection.connection.driver_connection


def _on_sqlite_connect(connection: sqlite3.Connection, _: Any) -> None:
    # The driver would begin transactions by itself, late and only before some statements.
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = NORMAL").close()  # enough under WAL: no corruption
    connection.execute("PRAGMA foreign_keys = ON").close()


def _on_sqlite_begin(connection: sa.Connection) -> None:
    if connection.get_execution_options().get("writing"):
        # As a statement of its own kind, so that waiting for another writer shows in the telemetry.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        _driver(connection).execute("BEGIN").close()
