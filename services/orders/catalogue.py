"""The domain: an order, and the steps that end with it confirmed or taken back whole.

Neither Flask nor OpenTelemetry nor SQLAlchemy comes in here. An order goes this way:

    reserving ─► pricing ─► confirming ─► confirmed
        │           │           │
        │           │           ├─ no answer before the deadline ─► withdrawing ─┐
        └───────────┴───────────┴─ refused ────────────────────────► cancelling ◄┘ ─► cancelled

`reserving` and `pricing` ask `car`, over HTTP. `confirming` asks the dealer, by a message. Each has its
compensation: a reservation is cancelled, a confirmation withdrawn; a price is only read. A step whose
outcome is unknown counts as done when it comes to compensating. Steps are tried a bounded number of times;
compensations until they succeed, for giving one up would leave an order in between.

Everything here is a function from an order and what happened to the order after it and the messages that
must go out with it, which the caller stores in one transaction. What does not belong to the present state
(an answer that comes twice, or late) changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

RESERVING, PRICING, CONFIRMING = "reserving", "pricing", "confirming"
WITHDRAWING, CANCELLING = "withdrawing", "cancelling"
CONFIRMED, CANCELLED = "confirmed", "cancelled"

STEPS = (RESERVING, PRICING, CONFIRMING)
COMPENSATIONS = (WITHDRAWING, CANCELLING)
FINAL = (CONFIRMED, CANCELLED)

CONFIRM, WITHDRAW = "confirm", "withdraw"
"""The types of what the dealer is asked."""
GRANTED, REFUSED, WITHDRAWN = "granted", "refused", "withdrawn"
"""The types of what the dealer answers."""

MAX_SLUG = 60
MAX_DISCOUNT = 10**12


class OrderError(Exception):
    """What `orders` refuses to do, and why."""


class Missing(OrderError):
    """There is no such order."""


class Conflict(OrderError):
    """The key of this request belongs to an order of something else."""


class Unavailable(OrderError):
    """The database does not answer now."""


class Refused(Exception):
    """`car` says no to a step, for good."""


class Away(Exception):
    """`car` gave no answer that says whether the step happened."""


@dataclass(frozen=True)
class Rules:
    """How patient an order is; times in seconds.

    `deadline` is how long after it was placed an order may be undecided before it is taken back, `attempts`
    how often a step of it is tried, `pause` and `longest_pause` bound the growing waits between attempts.
    `longest_silence` bounds those between two withdrawals: a dealer may be away for days, with every order
    of that time waiting for it.
    """

    deadline: float = 20.0
    attempts: int = 5
    pause: float = 0.5
    longest_pause: float = 10.0
    longest_silence: float = 300.0

    def wait(self, attempt: int) -> float:
        """Seconds to wait after this attempt."""
        return min(self._growing(attempt), self.longest_pause)

    def silence(self, attempt: int) -> float:
        """Seconds to wait for the answer to this withdrawal."""
        return min(max(self._growing(attempt), 2 * self.pause), self.longest_silence)

    def _growing(self, attempt: int) -> float:
        return float(self.pause * 2 ** min(attempt - 1, 20))


@dataclass(frozen=True)
class Order:
    """An order at one moment. `due` is when its step is to be tried (again), None when nothing is to do."""

    id: str
    maker: str
    model: str
    discount: int
    placed: float
    state: str = RESERVING
    attempt: int = 0
    due: float | None = 0.0
    price: int | None = None
    currency: str = ""
    reason: str = ""
    decided: float | None = None
    steps: tuple[tuple[str, float], ...] = field(default=())
    """Each state it came to after the first, and when."""


@dataclass(frozen=True)
class Request:
    """A message for the dealer: its type, the order's id, and what it says. `attempt` tells repetitions."""

    type: str
    order: str
    attempt: int
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Decision:
    """The order from now on, and the messages that go out with it."""

    order: Order
    requests: tuple[Request, ...] = ()


def placed(order: str, maker: str, model: str, discount: int, now: float) -> Order:
    """A new order, whose first step is due at once."""
    return Order(order, maker, model, discount, placed=now, due=now)


def reserved(order: Order, now: float) -> Decision:
    """`car` keeps the car."""
    return Decision(_enter(order, PRICING, now)) if order.state == RESERVING else Decision(order)


def priced(order: Order, price: int, currency: str, rules: Rules, now: float) -> Decision:
    """`car` says what it costs: the dealer is asked."""
    if order.state != PRICING:
        return Decision(order)
    return _ask(replace(_enter(order, CONFIRMING, now), price=price, currency=currency), rules, now)


def refused(order: Order, reason: str, now: float) -> Decision:
    """`car` says no to a step. Compensations are not refused."""
    if order.state not in (RESERVING, PRICING):
        return Decision(order)
    return Decision(_enter(replace(order, reason=reason), CANCELLING, now))


def failed(order: Order, reason: str, rules: Rules, now: float) -> Decision:
    """An attempt of the present step gave no answer: it is tried again, or given up and compensated."""
    order = replace(order, attempt=order.attempt + 1)
    if order.state in (RESERVING, PRICING) and (order.attempt >= rules.attempts or _late(order, rules, now)):
        return Decision(_enter(replace(order, reason=reason), CANCELLING, now))
    if order.state in FINAL:
        return Decision(order)
    return Decision(replace(order, due=now + rules.wait(order.attempt)))


def cancelled(order: Order, now: float) -> Decision:
    """`car` keeps the car no longer."""
    return Decision(_enter(order, CANCELLED, now)) if order.state == CANCELLING else Decision(order)


def answered(order: Order, type: str, reason: str, now: float) -> Decision:
    """The dealer's answer."""
    match order.state, type:
        case "confirming", "granted":
            return Decision(_enter(order, CONFIRMED, now))
        case ("confirming", "refused") | ("confirming", "withdrawn"):
            return Decision(_enter(replace(order, reason=reason), CANCELLING, now))
        case "withdrawing", "withdrawn":
            return Decision(_enter(order, CANCELLING, now))
        case _:
            return Decision(order)


def woken(order: Order, rules: Rules, now: float) -> Decision:
    """The time that it was due has come: what waits for an answer asks again, or is given up."""
    if order.state in FINAL:
        return Decision(order)
    if order.state in (RESERVING, PRICING) and _late(order, rules, now):
        return Decision(_enter(replace(order, reason=_overdue(rules)), CANCELLING, now))
    if order.state == CONFIRMING and _late(order, rules, now):
        return _withdraw(replace(_enter(order, WITHDRAWING, now), reason=_overdue(rules)), rules, now)
    if order.state == CONFIRMING:
        return _ask(order, rules, now)
    if order.state == WITHDRAWING:
        return _withdraw(order, rules, now)
    return Decision(order)


def _late(order: Order, rules: Rules, now: float) -> bool:
    return now >= order.placed + rules.deadline


def _overdue(rules: Rules) -> str:
    return f"not decided within {rules.deadline:g} s"


def _ask(order: Order, rules: Rules, now: float) -> Decision:
    """Ask the dealer. Answers may be lost: due again after a while, at the deadline at the latest."""
    order = replace(order, attempt=order.attempt + 1)
    again = min(now + max(rules.wait(order.attempt), 2 * rules.pause), order.placed + rules.deadline)
    body = {
        "maker": order.maker,
        "model": order.model,
        "price": order.price,
        "currency": order.currency,
    }
    return Decision(replace(order, due=again), (Request(CONFIRM, order.id, order.attempt, body),))


def _withdraw(order: Order, rules: Rules, now: float) -> Decision:
    order = replace(order, attempt=order.attempt + 1)
    again = now + rules.silence(order.attempt)
    return Decision(replace(order, due=again), (Request(WITHDRAW, order.id, order.attempt, {}),))


def _enter(order: Order, state: str, now: float) -> Order:
    steps = (*order.steps, (state, now))
    final = state in FINAL
    return replace(
        order,
        state=state,
        attempt=0,
        due=None if final else now,
        decided=now if final else None,
        steps=steps,
    )
