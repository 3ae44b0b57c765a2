"""A delivery as a message: the one place where bytes from a broker are read."""

from __future__ import annotations

import json

from services.messages.envelope import Delivery, Message, Poison


def read(delivery: Delivery, key: str) -> Message:
    """The message that was delivered. Raises Poison where its body is no JSON object."""
    try:
        body = json.loads(delivery.data)
    except (ValueError, RecursionError) as error:
        raise Poison(f"the body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise Poison("the body is no JSON object")
    return Message(delivery.id, delivery.destination, key, body, delivery.headers)
