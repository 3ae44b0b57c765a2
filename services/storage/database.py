"""Connections, transactions and the schema's version, the same on SQLite and PostgreSQL.

A reading transaction sees one state of the database for all its statements. On SQLite writing transactions
run one after the other (BEGIN IMMEDIATE); on PostgreSQL a writer locks the rows that its decision rests on.
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

logger = logging.getLogger(__name__)

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

    `timeout` (seconds) bounds every wait: for a connection, for a lock, for a statement. Nothing is
    opened before :meth:`prepare` or the first transaction. `seed` fills a database that is new.
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
        self.engine = sa.create_engine(
            self._url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=timeout,
            hide_parameters=True,  # an error's text goes to spans and log lines
            pool_pre_ping=not self._sqlite,
            connect_args=_connect_args(schema, self._sqlite, timeout),
        )
        if self._sqlite:
            sa.event.listen(self.engine, "connect", _on_sqlite_connect)
            sa.event.listen(self.engine, "begin", _on_sqlite_begin)
        snapshot = {} if self._sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reader = self.engine.execution_options(**snapshot)
        self._writer = self.engine.execution_options(writing=True)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One state of the database for as long as the block lasts. Raises Unavailable."""
        self.prepare()
        with self._answering(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction, on SQLite with no other writer beside it; an exception undoes it."""
        self.prepare()
        with self._answering(), self._turn(), self._writer.begin() as connection:
            yield connection

    def check(self) -> None:
        """Raise Unavailable unless the database answers and has its tables: the readiness check."""
        with self.reading() as connection:
            connection.execute(sa.text("SELECT version_num FROM alembic_version")).one()

    def prepare(self) -> None:
        """Bring the schema up to date, once; safe while other processes do the same. Raises Unavailable."""
        if self._prepared:
            return
        with self._preparing:
            if not self._prepared:
                # One span around them: else each of the dozen statements would be a trace of its own.
                with self._answering(), self._tracer().start_as_current_span("migrate"), self._alone():
                    self._migrate()
                self._prepared = True

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
        except _AWAY as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise self._schema.unavailable(f"The database does not answer: {reason}") from error
        except OSError as error:
            raise self._schema.unavailable(f"The database cannot be opened: {error}") from error

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
        with self._writer.begin() as connection:
            if not self._sqlite:
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": self._schema.lock})
                # The limit of a statement is for requests; changing a large table takes what it takes.
                connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
                if self._schema.own:
                    connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {self._schema.service}"))
            new = _upgrade(connection, self._schema)
            if new:
                self._seed(connection)


def _upgrade(connection: sa.Connection, schema: Schema) -> bool:
    """Run the migrations that are missing; whether the database had none."""
    # Alembic tells of every plug-in it loads, from its import on: what matters is told below.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    import alembic.command
    import alembic.config
    import alembic.util
    from alembic.runtime.migration import MigrationContext

    before = MigrationContext.configure(connection).get_current_revision()
    config = alembic.config.Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(schema.migrations).replace("%", "%%"))
    try:
        alembic.command.upgrade(config, "head")
    except alembic.util.CommandError as error:
        raise RuntimeError(
            f"the database's schema is newer than this version of {schema.service} ({error}): "
            "deploy the version that wrote it, or restore an older database"
        ) from error
    after = MigrationContext.configure(connection).get_current_revision()
    if after != before:
        logger.info("the database's schema went from %s to %s", before or "nothing", after)
    return before is None


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


def _connect_args(schema: Schema, sqlite: bool, timeout: float) -> dict[str, Any]:
    if sqlite:
        return {"timeout": timeout}  # SQLite's busy_timeout
    milliseconds = int(timeout * 1000)
    path = f" -c search_path={schema.service}" if schema.own else ""
    return {
        # libpq takes whole seconds and treats 1 as 2.
        "connect_timeout": max(2, round(timeout)),
        "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}{path}",
        "application_name": schema.service,
    }


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
