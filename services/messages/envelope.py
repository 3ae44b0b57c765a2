"""What travels: a message, one delivery of it, and what a consumer says of that. No broker comes in here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Message:
    """One message. The same `id` means the same message, however often it is sent or delivered.

    `key` says what it is about (an order's id). `body` holds JSON values; `headers` carry the trace.
    """

    id: str
    destination: str
    key: str
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Delivery:
    """A message as it comes from the broker, unread, for the `count`-th time."""

    id: str
    destination: str
    data: bytes
    headers: Mapping[str, str]
    count: int = 1


@dataclass(frozen=True)
class Done:
    """The broker may forget the message."""


@dataclass(frozen=True)
class Again:
    """The broker shall deliver the message again, not before `delay` seconds."""

    delay: float


Verdict = Done | Again


@dataclass(frozen=True)
class Depth:
    """What a queue holds for a consumer: messages not acknowledged, and the age of the oldest in seconds."""

    count: int
    oldest: float


class BrokerAway(Exception):
    """The broker did not confirm a message: it may have it, or not."""


class BrokerFull(BrokerAway):
    """The broker has no room for a message."""


class Poison(Exception):
    """The message can never be processed, by this version of the consumer at least."""


def about(message: Message | Delivery, operation: str, key: str) -> dict[str, str]:
    """The fields of a log line that is about a message and what is done with it."""
    return {
        "messaging.message.id": message.id,
        "messaging.message.conversation_id": key,
        "messaging.destination.name": message.destination,
        "messaging.operation.name": operation,
    }


def dead_letters(destination: str) -> str:
    """Where the dead letters of a queue go."""
    return f"dead.{destination}"
