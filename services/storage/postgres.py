"""Connections to PostgreSQL that wait no longer than they may, whatever has become of the server.

The server's own limits (`statement_timeout`, `lock_timeout`) end what takes long there. They end nothing
where the server hangs or the network swallows what is sent: there this side gives up and ends the connection.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    import psycopg

_end: ContextVar[float | None] = ContextVar("services.storage.postgres", default=None)
"""The moment (monotonic) until which the present thread may wait for a server; None for no limit."""

_SILENT = "the server has said nothing within the time limit"

SERVERS_SHARE = 0.9
"""The part of the time after which the server gives up: its error says more and costs no connection."""


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Let all waits for a server in the block take `seconds` together; None for as long as it takes."""
    before = _end.set(None if seconds is None else time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(before)


def listen(engine: sa.Engine) -> None:
    """Have `engine` make connections that keep to :func:`within`, and to what the server allows."""
    sa.event.listen(engine, "do_connect", _connect)
    sa.event.listen(engine, "checkout", _on_checkout)


def arguments(url: sa.URL, name: str, search_path: str | None, timeout: float) -> dict[str, Any]:
    """What `psycopg.connect` is given, with limits of `timeout` seconds, unless `url` says otherwise.

    A server that takes no changes, as a standby does, is refused: after a failover the one that does is
    found among the hosts of `url`, or behind its name.
    """
    milliseconds = int(timeout * 1000 * SERVERS_SHARE)
    path = f" -c search_path={search_path}" if search_path else ""
    given = {
        "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}{path}",
        "application_name": name,
        "target_session_attrs": "read-write",
        # Over TCP the kernel gives a peer up that acknowledges nothing, also of a connection in the pool.
        "tcp_user_timeout": int(timeout * 1000),
        "keepalives_idle": max(1, round(timeout)),
        "keepalives_interval": 1,
        "keepalives_count": 3,
    }
    return {key: value for key, value in given.items() if key == "options" or key not in url.query}


def must_take_changes(url: sa.URL) -> bool:
    """Whether the server at `url` is to: not where the address itself is content with one that does not."""
    return url.query.get("target_session_attrs", "read-write") in ("read-write", "primary")


def takes_changes(connection: sa.Connection) -> bool:
    """Whether the server does, for new transactions of this connection."""
    question = "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean"
    return not connection.execute(sa.text(question)).scalar_one()


def is_refused(error: BaseException | None) -> bool:
    """Whether the server refused for the state it is in (SQLSTATE 25...), such as read-only."""
    return str(getattr(error, "sqlstate", None) or "").startswith("25")


@functools.cache
def _connection() -> type[psycopg.Connection[Any]]:
    import psycopg  # 0.1 s, of services that keep what they have in SQLite

    class Connection(psycopg.Connection[Any]):
        """One whose every wait ends with the time of :func:`within`, and which is closed then."""

        def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
            if _end.get() is None:
                return super().wait(gen, *args, **kwargs)
            try:
                return super().wait(gen, *args, **{**kwargs, "timeout": max(0.0, _left())})
            except psycopg.OperationalError as error:
                if error.sqlstate is None and _left() <= 0:
                    self.close()
                    raise psycopg.OperationalError(_SILENT) from error
                raise

    return Connection


def _on_checkout(connection: psycopg.Connection[Any], *_: Any) -> None:
    # SQLAlchemy sets a connection that was read-only back to READ WRITE, which overrules a server that is to
    # take no changes (`default_transaction_read_only`, by which managed ones protect a full disk).
    connection.read_only = None


def _left() -> float:
    return (_end.get() or 0.0) - time.monotonic()


def _connect(dialect: Any, __: Any, args: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    if _end.get() is None:
        return _connection().connect(*args, **parameters)
    if _left() <= 0:
        raise dialect.dbapi.OperationalError(_SILENT)
    # Each host is given its share, so that one that hangs leaves time for the next. libpq's least is 2.
    hosts = str(parameters.get("host", "")).count(",") + 1
    return _connection().connect(*args, **{**parameters, "connect_timeout": max(2, int(_left() / hosts))})
