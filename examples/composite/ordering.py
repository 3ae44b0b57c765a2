"""An order in one transaction: the car, its price, the dealer's word and the order itself, or none of it.

The rules are those of the services: `minus` subtracts, the dealer's domain decides. What is missing is all
that the saga needs because its steps are elsewhere: attempts, compensations, messages, deadlines, states in
between.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from services.car.examples import cars
from services.dealer import catalogue as dealer
from services.minus.catalogue import minus
from services.orders.catalogue import CANCELLED, CONFIRMED, Conflict, Missing, Order, Unavailable
from services.storage.database import Database, Schema

_metadata = sa.MetaData()
_cars = sa.Table(
    "cars",
    _metadata,
    sa.Column("maker", sa.Text),
    sa.Column("model", sa.Text),
    sa.Column("price", sa.BigInteger),
    sa.Column("currency", sa.Text),
)
_orders = sa.Table(
    "orders",
    _metadata,
    sa.Column("id", sa.Text),
    sa.Column("request_key", sa.Text),
    sa.Column("document", sa.Text),
)


def database(url: str) -> Database:
    """The composite's database, with the example cars where it is new."""
    folder = Path(__file__).with_name("migrations")
    lock = int.from_bytes(b"comp", "big")
    schema = Schema("composite", folder, lock=lock, unavailable=Unavailable)
    return Database(url, schema, pool_size=4, timeout=5, seed=_seed)


def _seed(connection: sa.Connection) -> None:
    columns = [column.name for column in _cars.c]
    rows = [{name: getattr(car, name) for name in columns} for car in cars()]
    connection.execute(sa.insert(_cars), rows)


class Ordering:
    """Decided orders, in a database. It stands where `orders` has its sagas; nothing is in between here."""

    def __init__(self, store: Database, limit: int) -> None:
        self.store = self
        self._database, self._limit = store, limit

    def place(self, order: Order, key: str | None, headers: Mapping[str, str]) -> tuple[Order, bool]:
        """Decide a new order and keep it, or return the one that has this key; and whether it is new.

        Raises Conflict where that one is of something else.
        """
        with self._database.writing() as connection:
            if key is not None and (present := _found(connection, _orders.c.request_key == key)):
                if (present.maker, present.model, present.discount) != _wanted(order):
                    raise Conflict(f"The key {key} belongs to the order {present.id} of something else.")
                return present, False
            chosen = sa.select(_cars.c.price, _cars.c.currency)
            car = connection.execute(
                chosen.where(_cars.c.maker == order.maker, _cars.c.model == order.model)
            ).first()
            decided = decide(order, None if car is None else tuple(car), self._limit)
            row = {
                "id": order.id,
                "request_key": key,
                "document": json.dumps(vars(decided) | {"headers": dict(headers)}),
            }
            connection.execute(sa.insert(_orders).values(row))
        return decided, True

    def advance(self, order: str) -> Order:
        """The order: nothing is left to do."""
        return self.find(order)

    def find(self, order: str) -> Order:
        """The order. Raises Missing."""
        with self._database.reading() as connection:
            found = _found(connection, _orders.c.id == order)
        if found is None:
            raise Missing(f"There is no order {order}.")
        return found

    def headers(self, order: str) -> Mapping[str, str]:
        """What carries the trace in which it was placed; nothing of an order that is not there."""
        with self._database.reading() as connection:
            kept = connection.execute(sa.select(_orders.c.document).where(_orders.c.id == order)).scalar()
        return dict(json.loads(kept)["headers"]) if kept else {}


def decide(order: Order, car: tuple[int, str] | None, limit: int) -> Order:
    """The order as it ends, given the price and currency of its car (None: there is none)."""
    if car is None:
        return _ended(order, CANCELLED, f"There is no car {order.maker}/{order.model}.")
    price = minus(car[0], order.discount)
    if price < 0:
        return _ended(order, CANCELLED, f"A discount of {order.discount} is more than the price of {car[0]}.")
    order = replace(order, price=price, currency=car[1])
    answer = dealer.decide({"type": dealer.CONFIRM, "price": price}, None, limit)
    return _ended(order, CONFIRMED if answer.state == dealer.GRANTED else CANCELLED, answer.reason)


def _ended(order: Order, state: str, reason: str) -> Order:
    now = order.placed
    return replace(order, state=state, reason=reason, due=None, decided=now, steps=((state, now),))


def _wanted(order: Order) -> tuple[str, str, int]:
    return order.maker, order.model, order.discount


def _found(connection: sa.Connection, where: sa.ColumnElement[bool]) -> Order | None:
    text = connection.execute(sa.select(_orders.c.document).where(where)).scalar()
    if text is None:
        return None
    fields: dict[str, Any] = json.loads(text)
    del fields["headers"]
    return Order(**{**fields, "steps": tuple(tuple(step) for step in fields["steps"])})
