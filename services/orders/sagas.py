"""Brings orders to their end: does the step that is due, stores what came of it, and goes on.

Each step is done outside of any transaction and its outcome stored in one, so whatever ends the process
in between, the step is due again later and is done a second time: all of them may be. What is stored
meanwhile by somebody else wins, because an outcome counts only in the state that its step was for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from services.orders import catalogue
from services.orders.catalogue import (
    CANCELLING,
    COMPENSATIONS,
    FINAL,
    PRICING,
    RESERVING,
    Away,
    Decision,
    Order,
    Refused,
    Rules,
)
from services.orders.store import Store

logger = logging.getLogger(__name__)

LEASE = 10.0
"""Seconds for which whoever does a step has it alone. Longer than a call of `car` may take."""

FAILING = 5
"""Attempts of a compensation after which it counts as one that fails."""


class Car(Protocol):
    """What the steps ask of `car`. Each raises Refused for a no, and Away where the outcome is unknown."""

    def reserve(self, maker: str, model: str, order: str) -> None:
        """Reserve the car under the order's id."""

    def price(self, maker: str, model: str, discount: int) -> tuple[int, str]:
        """What the car costs after the discount, and the currency."""

    def cancel(self, maker: str, model: str, order: str) -> None:
        """Cancel the reservation under the order's id, whether it was made or not."""


@dataclass(frozen=True)
class Sagas:
    """The orders of `store`, on their way.

    `on_decided` is told of each order that came to its end, `on_stored` that something may be due or to send.
    """

    store: Store
    car: Car
    rules: Rules
    clock: Callable[[], float]
    on_decided: Callable[[Order], None] = lambda order: None
    on_stored: Callable[[], None] = lambda: None

    def due(self) -> list[str]:
        """The orders whose step is due, which this process has alone for a while."""
        return self.store.due(self.clock(), LEASE)

    def wake(self, order: str) -> None:
        """Do what is due of this order."""
        now = self.clock()
        self._stored(order, lambda present: _held(catalogue.woken(present, self.rules, now), now))
        self.advance(order)

    def advance(self, order: str) -> Order:
        """Go on with this order until it waits for somebody; the order as it is then."""
        while True:
            present = self.store.find(order)
            if present.state not in (RESERVING, PRICING, CANCELLING):
                return present
            after = self._step(present)
            if after.state == present.state:
                return after

    def answer(self, order: str, type: str, reason: str, message: str) -> None:
        """The dealer's answer came, in this message. Raises Missing."""
        now = self.clock()
        self._stored(order, lambda present: catalogue.answered(present, type, reason, now), message)

    def _step(self, order: Order) -> Order:
        outcome = self._attempt(order)
        now = self.clock()

        def decide(present: Order) -> Decision:
            if present.state != order.state:
                return Decision(present)  # somebody else was quicker
            return _held(outcome(present, now), now)

        return self._stored(order.id, decide) or order

    def _attempt(self, order: Order) -> Callable[[Order, float], Decision]:
        """Ask `car` for the present step; what makes its outcome of an order."""
        try:
            if order.state == RESERVING:
                self.car.reserve(order.maker, order.model, order.id)
                return catalogue.reserved
            if order.state == PRICING:
                price, currency = self.car.price(order.maker, order.model, order.discount)
                return lambda present, now: catalogue.priced(present, price, currency, self.rules, now)
            self.car.cancel(order.maker, order.model, order.id)
            return catalogue.cancelled
        except Refused as error:
            reason = str(error)
            logger.info("%s is refused: %s", order.state, reason, extra=_about(order))
            if order.state in COMPENSATIONS:
                return lambda present, now: catalogue.failed(present, reason, self.rules, now)
            return lambda present, now: catalogue.refused(present, reason, now)
        except Away as error:
            reason = str(error)
            level = logging.ERROR if failing(order) else logging.WARNING
            logger.log(level, "%s is tried again: %s", order.state, reason, extra=_about(order))
            return lambda present, now: catalogue.failed(present, reason, self.rules, now)

    def _stored(
        self, order: str, decide: Callable[[Order], Decision], message: str | None = None
    ) -> Order | None:
        before: list[Order] = []

        def told(present: Order) -> Decision:
            before.append(present)
            return decide(present)

        after = self.store.change(order, told, self.clock(), message)
        self.on_stored()
        if after is not None and after.state != before[-1].state:
            logger.info("order %s is %s", after.id, after.state, extra=_about(after))
            if after.state in FINAL:
                self.on_decided(after)
        return after


def failing(order: Order) -> bool:
    """Whether a compensation of this order has kept failing."""
    return order.state in COMPENSATIONS and order.attempt >= FAILING


def _held(decision: Decision, now: float) -> Decision:
    """The decision, with the step that follows at once kept from others while it is done."""
    order = decision.order
    goes_on = order.state in (RESERVING, PRICING, CANCELLING) and order.due is not None and order.due <= now
    return replace(decision, order=replace(order, due=now + LEASE)) if goes_on else decision


def _about(order: Order) -> dict[str, str]:
    return {"order.id": order.id, "order.state": order.state}
