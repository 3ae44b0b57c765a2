"""Outbox and inbox: messages that go out with a change of the database, and come in once.

What a service decides and the messages that say so are stored in one transaction; the relay sends them
afterwards, as often as it takes. Whoever receives stores the message's id in the transaction of what
the message changes, so that a second delivery of it changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from services.messages.envelope import Message

REMEMBERED = 7 * 24 * 3600.0
"""Seconds that an inbox remembers a message: longer than any broker here keeps one."""

_metadata = sa.MetaData()
_outbox = sa.Table(
    "outbox",
    _metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("destination", sa.Text),
    sa.Column("key", sa.Text),
    sa.Column("body", sa.Text),
    sa.Column("headers", sa.Text),
    sa.Column("stored", sa.Double),
)
_inbox = sa.Table(
    "inbox",
    _metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("received", sa.Double),
)


def create_tables(op: Any) -> None:
    """Make both tables: for a migration, with Alembic's `op`."""
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("destination", "key", "body", "headers")),
        sa.Column("stored", sa.Double, nullable=False),
    )
    op.create_index("outbox_stored", "outbox", ["stored"])
    op.create_table(
        "inbox",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("received", sa.Double, nullable=False),
    )
    op.create_index("inbox_received", "inbox", ["received"])


def drop_tables(op: Any) -> None:
    """Undo :func:`create_tables`."""
    op.drop_table("inbox")
    op.drop_table("outbox")


def put(connection: sa.Connection, messages: Iterable[Message], now: float) -> None:
    """Store `messages`, to be sent once the transaction holds."""
    for message in messages:
        row = {
            **vars(message),
            "body": json.dumps(message.body),
            "headers": json.dumps(dict(message.headers)),
            "stored": now,
        }
        connection.execute(_insert(connection)(_outbox).values(row).on_conflict_do_nothing())


def unsent(connection: sa.Connection, limit: int = 50) -> list[Message]:
    """The oldest messages that wait to be sent."""
    columns = [column for column in _outbox.c if column.name != "stored"]
    rows = connection.execute(sa.select(*columns).order_by(_outbox.c.stored, _outbox.c.id).limit(limit))
    return [
        Message(row.id, row.destination, row.key, json.loads(row.body), json.loads(row.headers))
        for row in rows
    ]


def sent(connection: sa.Connection, message: str) -> None:
    """The broker has confirmed this message."""
    connection.execute(sa.delete(_outbox).where(_outbox.c.id == message))


def backlog(connection: sa.Connection, now: float) -> tuple[int, float]:
    """How many messages wait to be sent, and for how many seconds the oldest has."""
    question = sa.select(sa.func.count(), sa.func.min(_outbox.c.stored))
    count, oldest = connection.execute(question).one()
    return int(count), 0.0 if oldest is None else max(0.0, now - oldest)


def is_new(connection: sa.Connection, message: str, now: float) -> bool:
    """Whether this message comes for the first time; from now on it does not."""
    statement = _insert(connection)(_inbox).values(id=message, received=now).on_conflict_do_nothing()
    return connection.execute(statement.returning(_inbox.c.id)).first() is not None


def forget(connection: sa.Connection, now: float) -> None:
    """Forget what the inbox need not remember."""
    connection.execute(sa.delete(_inbox).where(_inbox.c.received < now - REMEMBERED))


def _insert(connection: sa.Connection) -> Any:
    return sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
