"""The domain: what the dealer has said of each order, for good until it is withdrawn.

Neither Flask nor OpenTelemetry nor SQLAlchemy comes in here. A question that comes again gets the same
answer, and an order that was withdrawn, even before it was asked about, is never granted again: the store
remembers it for a week, in which every message about it has come or is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CONFIRM, WITHDRAW = "confirm", "withdraw"
GRANTED, REFUSED, WITHDRAWN = "granted", "refused", "withdrawn"


class Unavailable(Exception):
    """The database does not answer now."""


class Unreadable(Exception):
    """A message that cannot be understood."""


@dataclass(frozen=True)
class Answer:
    """What the dealer says of an order: one of GRANTED, REFUSED and WITHDRAWN, and why."""

    state: str
    reason: str = ""


def decide(body: Mapping[str, Any], known: Answer | None, limit: int) -> Answer:
    """The dealer's answer to a message; `known` is what it said before. Raises Unreadable.

    A car that costs more than `limit` is not granted.
    """
    kind = body.get("type")
    if kind == WITHDRAW:
        return Answer(WITHDRAWN, "withdrawn")
    if kind != CONFIRM:
        raise Unreadable(f"type is {kind!r}: give {CONFIRM} or {WITHDRAW}")
    if known is not None:
        return known
    price = body.get("price")
    if not isinstance(price, int) or isinstance(price, bool):
        raise Unreadable(f"price is {price!r}: give a whole number")
    if price > limit:
        return Answer(REFUSED, f"{price} is more than the {limit} that the dealer grants")
    return Answer(GRANTED)
