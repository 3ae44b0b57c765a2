"""`orders` and `dealer` as their tests use them: a `car` and a broker of the test, no threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from fakebroker import FakeBroker
from flask import Flask

from observability.settings import from_environ
from observability.testing import OFFLINE
from services.dealer import app as dealer
from services.dealer.answers import REQUESTS
from services.dealer.settings import Settings as DealerSettings
from services.messages.runtime import Queue
from services.orders import app as orders
from services.orders.messages import ANSWERS, handle_answer
from services.orders.settings import Settings as OrdersSettings


@dataclass
class FakeCar:
    """Says yes, or raises `error` when one is set."""

    error: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def reserve(self, maker: str, model: str, order: str) -> None:
        self._ask("reserve")

    def price(self, maker: str, model: str, discount: int) -> tuple[int, str]:
        self._ask("price")
        return 62_000 - discount, "EUR"

    def cancel(self, maker: str, model: str, order: str) -> None:
        self._ask("cancel")

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.error is not None:
            raise self.error


@contextmanager
def orders_app(url: str, car: Any, broker: FakeBroker, **settings: Any) -> Iterator[Flask]:
    """`orders` on the database at `url`; answers are handled when the broker delivers them."""
    given = from_environ(OrdersSettings, {}, database_url=url, **settings)
    with _offline():
        app = orders.create_app(given, car=car, broker=broker, running=False)
    parts = app.extensions["orders"]
    parts.messaging.consume(Queue(ANSWERS, "orders"), lambda message: handle_answer(parts.sagas, message))
    yield app
    app.extensions["observability"].shutdown()
    parts.close()


@contextmanager
def dealer_app(url: str, broker: FakeBroker, **settings: Any) -> Iterator[Flask]:
    """`dealer` on the database at `url`; messages are handled when the broker delivers them."""
    given = from_environ(DealerSettings, {}, database_url=url, **settings)
    with _offline():
        app = dealer.create_app(given, broker=broker, running=False)
    parts = app.extensions["dealer"]
    parts.messaging.consume(Queue(REQUESTS, "dealer"), parts.answers.handle)
    yield app
    app.extensions["observability"].shutdown()
    parts.close()


@contextmanager
def _offline() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in OFFLINE.items():
            patch.setenv(name, value)
        yield
