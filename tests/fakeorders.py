"""Orders in memory for the tests of `web`: they enter by `create_app(orders=...)` and can be told to fail."""

from __future__ import annotations

from typing import Any, NoReturn

from services.web.asking import Exists, NotFound, Rejected, ServiceError
from services.web.catalogue import Complaint
from services.web.orders import Order

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
AT = "2026-01-02T03:04:0{}.000Z"


def order(state: str = "confirmed", *steps: str, reason: str | None = None, **more: Any) -> Order:
    """An order that came to `state` after `steps`, a second each."""
    came = [*steps, *([state] if state != "reserving" else [])]
    document = {
        "id": "0f8fad5bd9cb469fa165708867289501",
        "maker": "bentz",
        "model": "e-class",
        "discount": 500,
        "price": 61_500 if "confirming" in came else None,
        "currency": "EUR" if "confirming" in came else None,
        "state": state,
        "reason": reason,
        "placed": AT.format(0),
        "decided": AT.format(len(came)) if state in ("confirmed", "cancelled") else None,
        "steps": [{"state": each, "at": AT.format(number)} for number, each in enumerate(came, start=1)],
        "trace_id": TRACE,
    }
    return Order.from_json(document | more)


class FakeOrders:
    """Answers like `orders.OrdersClient`. `failure` is raised by all; `placed` has each key's order."""

    def __init__(self) -> None:
        self.failure: ServiceError | None = None
        self.kept: dict[str, Order] = {}
        self.placed: dict[str, tuple[str, str, int]] = {}

    def place(self, maker: str, model: str, discount: int, key: str) -> Order:
        self._fail()
        if discount == 777:
            self._say(Rejected("Refused.", (Complaint("discount", "seven is enough"),)))
        asked = (maker, model, discount)
        if self.placed.setdefault(key, asked) != asked:
            self._say(Exists("The key belongs to another order."))
        found = order("confirming", "pricing", maker=maker, model=model, discount=discount, id=key)
        return self.kept.setdefault(key, found)

    def order(self, order: str) -> Order:
        self._fail()
        if order not in self.kept:
            self._say(NotFound(f"There is no order {order[:80]}."))
        return self.kept[order]

    def _fail(self) -> None:
        if self.failure is not None:
            self._say(self.failure)

    @staticmethod
    def _say(error: ServiceError) -> NoReturn:
        error.service = "orders"
        raise error
