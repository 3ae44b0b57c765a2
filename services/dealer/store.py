"""Where the dealer's answers are kept: an answer, and the message that says it, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from services.dealer.catalogue import Answer, Unavailable
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
)


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
            question = sa.select(_answers).where(_answers.c.id == order).with_for_update()
            row = connection.execute(question).one_or_none()
            known = None if row is None else Answer(row.state, row.reason)
            answer = decide(known)
            if known is None:
                connection.execute(sa.insert(_answers).values(id=order, **vars(answer)))
            elif answer != known:
                connection.execute(sa.update(_answers).where(_answers.c.id == order).values(**vars(answer)))
            boxes.put(connection, [compose(answer)], now)
        return answer

    def find(self, order: str) -> Answer | None:
        """What the dealer says of an order now."""
        with self.database.reading() as connection:
            row = connection.execute(sa.select(_answers).where(_answers.c.id == order)).one_or_none()
        return None if row is None else Answer(row.state, row.reason)
