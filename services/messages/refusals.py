"""What NATS means by the code with which it refuses a message."""

from __future__ import annotations

from services.messages.envelope import BrokerAway, BrokerFull

NO_ROOM = (10023, 10047, 10077)
"""The server's errors for want of resources, of storage, and of room in the stream or on the disk."""


def refusal(code: int | None) -> type[BrokerAway]:
    """The error that stands for a refusal with this code; none is that of a broker that says nothing."""
    return BrokerFull if code in NO_ROOM else BrokerAway
