"""The settings of a service that has a database, and the database that they open.

Each service has variables of its own names, for several may run in one environment.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from observability.server.options import ServerSettings
from observability.settings import between, from_environ, setting
from services.storage.addresses import database_url
from services.storage.database import Database, Schema


class Stored(Protocol):
    """What a database is opened by."""

    @property
    def database(self) -> str:
        """Its SQLAlchemy address."""

    @property
    def database_connections(self) -> int:
        """Connections that a worker opens at most."""

    @property
    def database_timeout(self) -> float:
        """Seconds that a transaction waits at most."""


def state_dir() -> Any:
    """The setting of the folder in which a SQLite file is."""
    return setting("DASHCAM_STATE_DIR", ".dashcam", help="The folder of the default database.")


def url(variable: str, service: str) -> Any:
    """The setting of the database's address, or None for `service`'s file in the state folder."""
    return setting(
        variable,
        None,
        help="The database: sqlite:///path or postgresql://user:password@host:5432/name. "
        f"By default {service}.sqlite3 in the state folder.",
        secret=True,
        parse=database_url,
    )


def connections(variable: str, default: int) -> Any:
    """The setting of the pool's size."""
    return setting(variable, default, help="Connections a worker opens at most.", check=between(1, 200))


def timeout(variable: str) -> Any:
    """The setting of a transaction's patience."""
    return setting(
        variable,
        5.0,
        help="Seconds that a transaction waits at most: for a connection, locks and its statements.",
        check=between(0.1, 60),
    )


def address(given: str | None, folder: str, service: str) -> str:
    """The SQLAlchemy address: the one that was given, or that of `service`'s file in `folder`."""
    return database_url(given) if given else "sqlite:///" + str(Path(folder) / f"{service}.sqlite3")


def opened(
    settings: Stored, schema: Schema, seed: Callable[[sa.Connection], None] = lambda connection: None
) -> Database:
    """The database of these settings; nothing of it is opened yet.

    A worker has a thread more than connections, for what needs no database.
    """
    threads = from_environ(ServerSettings).threads
    return Database(
        settings.database,
        schema,
        pool_size=min(settings.database_connections, max(1, threads - 1)),
        timeout=settings.database_timeout,
        seed=seed,
    )
