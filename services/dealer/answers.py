"""Answers what is asked about orders, each message once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from services.dealer import catalogue
from services.dealer.catalogue import Answer, Unreadable
from services.dealer.store import Store
from services.messages.envelope import Message, Poison

logger = logging.getLogger(__name__)

REQUESTS, ANSWERS = "orders.requests", "orders.answers"
"""The queues: from `orders`, and to it."""


@dataclass(frozen=True)
class Answers:
    """The dealer: grants up to `limit`, keeps what it said in `store`.

    `carrying` gives a message the headers that carry the present trace; `on_stored` is told that one waits.
    """

    store: Store
    limit: int
    clock: Callable[[], float]
    carrying: Callable[[Message], Message] = lambda message: message
    on_stored: Callable[[], None] = lambda: None

    def handle(self, message: Message) -> None:
        """Answer a message, unless it came before. Raises Poison for one that cannot be understood."""
        order = message.key

        def decide(known: Answer | None) -> Answer:
            return catalogue.decide(message.body, known, self.limit)

        def compose(answer: Answer) -> Message:
            return self.carrying(answer_message(message, answer))

        try:
            answer = self.store.answer(order, message.id, decide, compose, self.clock())
        except Unreadable as error:
            raise Poison(str(error)) from error
        self.on_stored()
        if answer is not None:
            fields = {"order.id": order, "messaging.message.id": message.id}
            logger.info("order %s is %s", order, answer.state, extra=fields)


def answer_message(asked: Message, answer: Answer) -> Message:
    """The message that says `answer` to what was asked; the same question has the same answer's id."""
    body = {"type": answer.state, "order": asked.key, "reason": answer.reason}
    return Message(f"{asked.id}.answer", ANSWERS, asked.key, body)
