"""All parts of an order in one process: the real code and stores of `orders`, `dealer` and `car`, on SQLite.

What is not real is between them: the network to `car`, the broker and the clock, which lose, repeat, reorder
and delay, and end a part at any point. An ended part has what its database has, and goes on from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from services.car import database as car_database
from services.car.catalogue import CatalogueError, Reservation
from services.car.examples import cars
from services.car.reservations import Reservations
from services.car.store import insert
from services.dealer import store as dealer_store
from services.dealer.answers import Answers
from services.messages import boxes
from services.messages.envelope import Delivery, Message
from services.messages.reading import read
from services.orders import store as orders_store
from services.orders.catalogue import Away, Decision, Missing, Order, Refused, Rules, placed
from services.orders.messages import message_of
from services.orders.sagas import Sagas
from services.storage.database import Database

RULES = Rules(deadline=20, attempts=3, pause=0.5, longest_pause=4)
LIMIT = 100_000
CHEAP, DEAR, GONE = ("bentz", "e-class"), ("acme", "dear"), ("bentz", "no-such")


class Ended(BaseException):
    """A part was ended here, as kill -9 ends it."""


@dataclass
class Points:
    """Where a part shall end: the number of points that it still passes, None for all of them."""

    left: int | None = None

    def here(self) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left < 0:
            self.left = None
            raise Ended


@dataclass
class Market:
    """The world of the tests, in `folder`."""

    folder: Path
    now: float = 1000.0
    points: Points = field(default_factory=Points)
    car_trouble: list[str] = field(default_factory=list)
    late: list[Callable[[], Any]] = field(default_factory=list)
    broker: list[Message] = field(default_factory=list)
    delivered: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.databases = {
            name: Database(
                f"sqlite:///{self.folder}/{name}.sqlite3", schema, pool_size=1, timeout=5, seed=seed
            )
            for name, schema, seed in (
                ("orders", orders_store.SCHEMA, lambda connection: None),
                ("dealer", dealer_store.SCHEMA, lambda connection: None),
                ("car", car_database.SCHEMA, _seed),
            )
        }
        for database in self.databases.values():
            database.prepare()
        store = _EndingStore(self.databases["orders"], message_of, self.points)
        self.orders = store
        self.reservations = Reservations(self.databases["car"])
        self.sagas = Sagas(store, _Car(self), RULES, lambda: self.now)
        self.dealer = Answers(dealer_store.Store(self.databases["dealer"]), LIMIT, lambda: self.now)

    # -- what happens --------------------------------------------------------------------------

    def alive(self, do: Callable[[], Any]) -> None:
        """`do`, which may be ended on its way."""
        try:
            do()
        except Ended:
            pass
        finally:
            self.points.left = None

    def place(self, name: str, car: tuple[str, str], key: str | None = None) -> None:
        def do() -> None:
            order, _ = self.orders.place(placed(name, *car, 500, self.now), key, {})
            self.sagas.advance(order.id)

        self.alive(do)

    def work(self) -> None:
        """The runner of `orders` works on what is due."""

        def do() -> None:
            while found := self.sagas.due():
                for order in found:
                    self.sagas.wake(order)

        self.alive(do)

    def relay(self, name: str) -> None:
        """The outbox of a service is sent; it may be ended before the broker's confirmation is stored."""
        database = self.databases[name]

        def do() -> None:
            with database.reading() as connection:
                waiting = boxes.unsent(connection)
            for message in waiting:
                self.points.here()
                self.broker.append(message)
                self.points.here()
                with database.writing() as connection:
                    boxes.sent(connection, message.id)

        self.alive(do)

    def deliver(self, index: int, *, keep: bool) -> None:
        """Some message is delivered; the broker keeps one that is not acknowledged, to deliver it again."""
        if not self.broker:
            return
        message = self.broker.pop(index % len(self.broker))
        if keep:
            self.broker.append(message)
        self.delivered.append(message)
        handle = self._answered if message.destination == "orders.answers" else self.dealer.handle
        delivery = Delivery(message.id, message.destination, json.dumps(dict(message.body)).encode(), {})

        def do() -> None:
            try:
                self.points.here()
                handle(read(delivery, message.key))
                self.points.here()
            except Ended:
                self.broker.append(message)  # never acknowledged
                raise

        self.alive(do)

    def lose(self, index: int) -> None:
        """The broker loses a message that it had confirmed."""
        if self.broker:
            self.broker.pop(index % len(self.broker))

    def repeat(self, index: int) -> None:
        """A message that was done with long ago comes once more."""
        if self.delivered:
            self.broker.append(self.delivered[-1 - index % len(self.delivered)])

    def arrive(self) -> None:
        """A request to `car` arrives whose sender has given up waiting."""
        if self.late:
            with suppress(CatalogueError):
                self.late.pop(0)()

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    def _answered(self, message: Message) -> None:
        self.sagas.answer(
            message.key, str(message.body["type"]), str(message.body.get("reason", "")), message.id
        )

    # -- what is so ----------------------------------------------------------------------------

    def settle(self, seconds: float = 900, newest_first: bool = False) -> None:
        """No more trouble: everything is given the time that it needs, of at most `seconds`."""
        self.car_trouble.clear()
        end = self.now + seconds
        while self.now < end and not self.quiet():
            self.arrive()
            self.work()
            for name in ("orders", "dealer"):
                self.relay(name)
            while self.broker:
                self.deliver(-1 if newest_first else 0, keep=False)
            self.now += 1

    def quiet(self) -> bool:
        """Whether nothing will ever happen by itself: no order is due some time, no message is on its way."""
        if self.late or self.broker:
            return False
        with self.databases["orders"].reading() as connection:
            undecided = sa.text("SELECT 1 FROM orders WHERE due IS NOT NULL UNION SELECT 1 FROM outbox")
            if connection.execute(undecided).first():
                return False
        with self.databases["dealer"].reading() as connection:
            return connection.execute(sa.text("SELECT 1 FROM outbox")).first() is None

    def known(self, name: str) -> bool:
        """Whether the order was stored: one whose process ended before has not been placed."""
        try:
            self.orders.find(name)
        except Missing:
            assert self.state_elsewhere(name) == ("", "")
            return False
        return True

    def state_of(self, name: str) -> tuple[Order, str, str]:
        """An order, the state of its reservation at `car`, and of the dealer's answer."""
        return self.orders.find(name), *self.state_elsewhere(name)

    def state_elsewhere(self, name: str) -> tuple[str, str]:
        """What `car` and the dealer have of an order; empty for nothing."""
        with self.databases["car"].reading() as connection:
            text = sa.text("SELECT state FROM reservations WHERE id = :id")
            reserved = connection.execute(text, {"id": name}).scalars().all()
        answer = self.dealer.store.find(name)
        return ",".join(reserved), answer.state if answer else ""

    def clear(self) -> None:
        """Nothing has happened yet."""
        for name, tables in (
            ("orders", ("orders", "outbox", "inbox")),
            ("dealer", ("answers", "outbox", "inbox")),
            ("car", ("reservations",)),
        ):
            with self.databases[name].writing() as connection:
                for table in tables:
                    connection.execute(sa.text(f"DELETE FROM {table}"))
        self.now, self.points.left = 1000.0, None
        self.car_trouble.clear()
        self.late.clear()
        self.broker.clear()
        self.delivered.clear()

    def close(self) -> None:
        for database in self.databases.values():
            database.close()


def _seed(connection: sa.Connection) -> None:
    dear = next(iter(cars()))
    insert(
        connection,
        [*cars(), type(dear)(**{**vars(dear), "maker": "acme", "model": "dear", "price": LIMIT * 2})],
        1,
    )


class _EndingStore(orders_store.Store):
    """The store of `orders`, in whose process anything may end before and after each transaction."""

    def __init__(self, database: Database, compose: orders_store.Compose, points: Points) -> None:
        super().__init__(database, compose)
        self._points = points

    def place(self, *arguments: Any) -> tuple[Order, bool]:
        placed = super().place(*arguments)
        self._points.here()
        return placed

    def change(self, order: str, decide: Callable[[Order], Decision], *more: Any) -> Order | None:
        self._points.here()
        changed = super().change(order, decide, *more)
        self._points.here()
        return changed


class _Car:
    """`car` behind a network that may fail before or after the request arrived, or repeat it much later."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def reserve(self, maker: str, model: str, order: str) -> None:
        self._do(lambda: self._market.reservations.make(Reservation(order, maker, model)))

    def price(self, maker: str, model: str, discount: int) -> tuple[int, str]:
        if (maker, model) == GONE:
            raise Refused("no such car")
        self._do(lambda: None)
        return (LIMIT * 2 if (maker, model) == DEAR else 62_000) - discount, "EUR"

    def cancel(self, maker: str, model: str, order: str) -> None:
        self._do(lambda: self._market.reservations.cancel(maker, model, order))

    def _do(self, request: Callable[[], Any]) -> None:
        trouble = self._market.car_trouble.pop() if self._market.car_trouble else ""
        self._market.points.here()
        if trouble == "before":
            raise Away("the connection was refused")
        if trouble == "late":
            self._market.late.append(request)
            raise Away("no answer within its limit")
        try:
            request()
        except CatalogueError as error:
            raise Refused(str(error)) from error
        if trouble == "after":
            raise Away("the answer did not come")
        self._market.points.here()
