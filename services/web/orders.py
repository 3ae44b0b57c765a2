"""Orders, as the pages show them, and the client of `orders`."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from services.web.asking import Client, Misbehaved

CONFIRMED, CANCELLED = "confirmed", "cancelled"

WORDS = {
    "reserving": "Reserving the car",
    "pricing": "Asking for its price",
    "confirming": "Waiting for the dealer",
    "withdrawing": "Withdrawing what was asked of the dealer",
    "cancelling": "Cancelling the reservation",
    CONFIRMED: "Confirmed",
    CANCELLED: "Cancelled",
}
"""What a page calls the states of an order."""


@dataclass(frozen=True)
class Step:
    """A state, when it was entered, and how it is marked: done, back, now, good or bad."""

    text: str
    at: datetime.datetime
    mark: str


@dataclass(frozen=True)
class Order:
    """An order at one moment. `trace_id` is the trace of the click that placed it."""

    id: str
    maker: str
    model: str
    discount: int
    price: int | None
    currency: str | None
    state: str
    reason: str | None
    placed: datetime.datetime
    decided: datetime.datetime | None
    steps: tuple[tuple[str, datetime.datetime], ...]
    trace_id: str | None

    @property
    def final(self) -> bool:
        """Whether nothing changes any more."""
        return self.state in (CONFIRMED, CANCELLED)

    @property
    def history(self) -> tuple[Step, ...]:
        """Each state that it came to, from the first to the present one."""
        states = (("reserving", self.placed), *self.steps)
        return tuple(
            Step(WORDS.get(state, state), at, _mark(state, last=position == len(states)))
            for position, (state, at) in enumerate(states, start=1)
        )

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Order:
        """Raises KeyError, TypeError or ValueError for what is no order."""
        return cls(
            id=str(found["id"]),
            maker=str(found["maker"]),
            model=str(found["model"]),
            discount=int(found["discount"]),
            price=None if found["price"] is None else int(found["price"]),
            currency=_text(found["currency"]),
            state=str(found["state"]),
            reason=_text(found["reason"]),
            placed=_time(found["placed"]),
            decided=None if found["decided"] is None else _time(found["decided"]),
            steps=tuple((str(each["state"]), _time(each["at"])) for each in found["steps"]),
            trace_id=_text(found.get("trace_id")),
        )


class OrdersClient(Client):
    """Asks `orders` at `base_url`. One instance serves all threads of a process."""

    service = "orders"

    def place(self, maker: str, model: str, discount: int, key: str) -> Order:
        """Order a car. The same `key` again is the same order; raises Exists for one of something else."""
        body = json.dumps({"maker": maker, "model": model, "discount": discount}).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        # Unlike other changes it may be sent again: the key makes one order of both.
        return self._order("POST", "/orders", headers, body)

    def order(self, order: str) -> Order:
        """One order. Raises NotFound."""
        return self._order("GET", f"/orders/{quote(order, safe='')}", {}, None)

    def _order(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Order:
        answer = self._json(self._ask(method, path, headers, body, attempts=3))
        try:
            return Order.from_json(answer)
        except (KeyError, TypeError, ValueError) as error:
            raise self._failure(Misbehaved, "The orders service sent what is no order.") from error


def _mark(state: str, last: bool) -> str:
    if state in (CONFIRMED, CANCELLED):
        return "good" if state == CONFIRMED else "bad"
    if last:
        return "now"
    return "back" if state in ("withdrawing", "cancelling") else "done"


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _time(text: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
