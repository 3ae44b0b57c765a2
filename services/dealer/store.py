"""Where the dealer's answers are kept: an answer, and the message that says it, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from services.dealer.catalogue import REFUSED, WITHDRAWN, Answer, Unavailable
from services.messages import boxes
from services.messages.envelope import Message
from services.storage.database import Database, Schema

SCHEMA = Schema(
    "dealer",
    Path(__file__).with_name("migrations"),
    lock=int.from_bytes(b"deal", "big"),
    unavailable=Unavailable,
)

_answers = sa.Table(
    "answers",
    sa.MetaData(),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("state", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("said", sa.Double),
)
_told = [column for column in _answers.c if column.name != "said"]

FORGOTTEN = (REFUSED, WITHDRAWN)
"""What is forgotten in time: a grant is what the dealer stands by."""


class Store:
    """The answers in a database. Every method may raise Unavailable."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def answer(
        self,
        order: str,
        message: str,
        decide: Callable[[Answer | None], Answer],
        compose: Callable[[Answer], Message],
        now: float,
    ) -> Answer | None:
        """Store what `decide` says of an order, and the message that says so.

        None is answered where `message` came before.
        """
        with self.database.writing() as connection:
            if not boxes.is_new(connection, message, now):
                return None
            _forget(connection, now)
            question = sa.select(*_told).where(_answers.c.id == order).with_for_update()
            row = connection.execute(question).one_or_none()
            known = None if row is None else Answer(row.state, row.reason)
            answer = decide(known)
            if known is None:
                connection.execute(sa.insert(_answers).values(id=order, said=now, **vars(answer)))
            elif answer != known:
                changed = sa.update(_answers).where(_answers.c.id == order)
                connection.execute(changed.values(said=now, **vars(answer)))
            boxes.put(connection, [compose(answer)], now)
        return answer

    def find(self, order: str) -> Answer | None:
        """What the dealer says of an order now."""
        with self.database.reading() as connection:
            row = connection.execute(sa.select(*_told).where(_answers.c.id == order)).one_or_none()
        return None if row is None else Answer(row.state, row.reason)


def _forget(connection: sa.Connection, now: float) -> None:
    """Forget refusals and withdrawals as old as the messages that the inbox forgets.

    No question about such an order comes any more. What the version before has said counts from now on.
    """
    chosen = _answers.c.state.in_(FORGOTTEN)
    connection.execute(sa.update(_answers).where(chosen, _answers.c.said.is_(None)).values(said=now))
    connection.execute(sa.delete(_answers).where(chosen, _answers.c.said < now - boxes.REMEMBERED))
