"""Where the orders are kept: an order, and the messages that go out with it, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from services.messages import boxes
from services.messages.envelope import Message
from services.orders.catalogue import (
    COMPENSATIONS,
    STEPS,
    Conflict,
    Decision,
    Missing,
    Order,
    Request,
    Unavailable,
)
from services.storage.database import Database, Schema

SCHEMA = Schema(
    "orders",
    Path(__file__).with_name("migrations"),
    lock=int.from_bytes(b"ordr", "big"),
    unavailable=Unavailable,
)

Decide = Callable[[Order], Decision]
Compose = Callable[[Request], Message]
"""Makes the message of a request, with the headers that carry the present trace."""

_orders = sa.Table(
    "orders",
    sa.MetaData(),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("request_key", sa.Text),
    sa.Column("maker", sa.Text),
    sa.Column("model", sa.Text),
    sa.Column("discount", sa.BigInteger),
    sa.Column("placed", sa.Double),
    sa.Column("state", sa.Text),
    sa.Column("attempt", sa.Integer),
    sa.Column("due", sa.Double),
    sa.Column("price", sa.BigInteger),
    sa.Column("currency", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("decided", sa.Double),
    sa.Column("steps", sa.Text),
    sa.Column("headers", sa.Text),
)


@dataclass(frozen=True)
class Waiting:
    """The undecided orders in one state: how many, when the oldest was placed, the most attempts of one."""

    state: str
    count: int
    oldest: float
    attempts: int


class Store:
    """The orders in a database. Every method may raise Unavailable."""

    def __init__(self, database: Database, compose: Compose) -> None:
        self.database = database
        self._compose = compose

    def place(self, order: Order, key: str | None, headers: Mapping[str, str]) -> tuple[Order, bool]:
        """Keep a new order, or answer the one that has this key; and whether it is new.

        `headers` carry the trace in which it was placed. Raises Conflict where that one is of something else.
        """
        try:
            present = self._placed(order, key, headers)
        except sa.exc.IntegrityError:
            # Another request with this key was stored since it was looked for: now it is found.
            present = self._placed(order, key, headers)
        if present is None:
            return order, True
        if (present.maker, present.model, present.discount) != (order.maker, order.model, order.discount):
            raise Conflict(f"The key {key} belongs to the order {present.id} of something else.")
        return present, False

    def _placed(self, order: Order, key: str | None, headers: Mapping[str, str]) -> Order | None:
        """The order that has this key; None where there is none, and `order` is stored."""
        with self.database.writing() as connection:
            present = None if key is None else _with_key(connection, key)
            if present is None:
                row = {**_row(order), "request_key": key, "headers": json.dumps(dict(headers))}
                connection.execute(sa.insert(_orders).values(row))
        return present

    def find(self, order: str) -> Order:
        """The order as it is now. Raises Missing."""
        with self.database.reading() as connection:
            return _find(connection, order)

    def headers(self, order: str) -> dict[str, str]:
        """What carries the trace in which the order was placed. Raises Missing."""
        with self.database.reading() as connection:
            text = connection.execute(sa.select(_orders.c.headers).where(_orders.c.id == order)).scalar()
        if text is None:
            raise _none(order)
        return dict(json.loads(text))

    def change(self, order: str, decide: Decide, now: float, message: str | None = None) -> Order | None:
        """Store what `decide` makes of the order, and its messages; the order from then on.

        `message` is the id of the message that is the cause: None is answered where it came before.
        Raises Missing.
        """
        with self.database.writing() as connection:
            if message is not None and not boxes.is_new(connection, message, now):
                return None
            present = _find(connection, order, lock=True)
            decision = decide(present)
            if decision.order != present:
                changed = sa.update(_orders).where(_orders.c.id == order).values(_row(decision.order))
                connection.execute(changed)
            boxes.put(connection, [self._compose(request) for request in decision.requests], now)
        return decision.order

    def due(self, now: float, lease: float, limit: int = 2) -> list[str]:
        """The orders whose step is due, which nobody else is given for `lease` seconds.

        Few at a time: they are worked on one after the other, and the last must begin within its lease.
        """
        chosen = sa.select(_orders.c.id).where(_orders.c.due <= now).order_by(_orders.c.due).limit(limit)
        with self.database.writing() as connection:
            taken = list(connection.execute(chosen.with_for_update(skip_locked=True)).scalars())
            if taken:
                leased = sa.update(_orders).where(_orders.c.id.in_(taken))
                connection.execute(leased.values(due=now + lease))
        return taken

    def waiting(self) -> list[Waiting]:
        """The undecided orders, by state."""
        columns = _orders.c
        figures = (sa.func.count(), sa.func.min(columns.placed), sa.func.max(columns.attempt))
        # Named one by one, the undecided states are found by the index; "not a final one" reads every order.
        undecided = columns.state.in_((*STEPS, *COMPENSATIONS))
        question = sa.select(columns.state, *figures).where(undecided).group_by(columns.state)
        with self.database.reading() as connection:
            return [Waiting(*row) for row in connection.execute(question)]


def _with_key(connection: sa.Connection, key: str) -> Order | None:
    row = connection.execute(sa.select(_orders).where(_orders.c.request_key == key)).one_or_none()
    return None if row is None else _order(row)


def _find(connection: sa.Connection, order: str, lock: bool = False) -> Order:
    question = sa.select(_orders).where(_orders.c.id == order)
    row = connection.execute(question.with_for_update() if lock else question).one_or_none()
    if row is None:
        raise _none(order)
    return _order(row)


def _none(order: str) -> Missing:
    return Missing(f"There is no order {order}.")


def _order(row: sa.Row[Any]) -> Order:
    fields = dict(row._mapping)
    del fields["request_key"], fields["headers"]
    fields["steps"] = tuple((state, at) for state, at in json.loads(fields["steps"]))
    return Order(**fields)


def _row(order: Order) -> dict[str, Any]:
    return {**vars(order), "steps": json.dumps(order.steps)}
