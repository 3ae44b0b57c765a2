"""What `orders` says to the dealer and hears from it, as messages."""

from __future__ import annotations

from services.messages.envelope import Message, Poison
from services.orders.catalogue import GRANTED, REFUSED, WITHDRAWN, Missing, Request
from services.orders.sagas import Sagas

REQUESTS, ANSWERS = "orders.requests", "orders.answers"
"""The queues: to the dealer, and from it."""
DEALER = "dealer"
"""The group in which the dealer consumes."""


def message_of(request: Request) -> Message:
    """The message that asks the dealer. The same attempt is the same message."""
    return Message(
        f"{request.order}.{request.type}.{request.attempt}",
        REQUESTS,
        request.order,
        {"type": request.type, "order": request.order, **request.body},
    )


def handle_answer(sagas: Sagas, message: Message) -> None:
    """Take in what the dealer says. Raises Poison for what it cannot have said."""
    type = message.body.get("type")
    if type not in (GRANTED, REFUSED, WITHDRAWN):
        raise Poison(f"type is {type!r}: {GRANTED}, {REFUSED} or {WITHDRAWN} was expected")
    try:
        sagas.answer(message.key, type, str(message.body.get("reason", "")), message.id)
    except Missing as error:
        raise Poison(str(error)) from error
