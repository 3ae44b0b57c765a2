"""What a consumer does with a delivery: process it, have it come again, or put it aside as a dead letter."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from services.faults.points import Faults, NoFaults
from services.messages.envelope import (
    Again,
    BrokerAway,
    Delivery,
    Done,
    Message,
    Poison,
    Verdict,
    about,
    dead_letters,
)
from services.messages.reading import read
from services.messages.tracing import Failure, MessageTracing

logger = logging.getLogger(__name__)

KEY_HEADER = "Dashcam-Key"
"""The header with a message's key."""

MAX_DELIVERIES = 6
"""After this many a message is given up. The pauses between them add up to about 6 s."""


@dataclass(frozen=True)
class Consumer:
    """Consumes a queue as `group`: `handle` processes a message, `publish` takes the dead letters.

    `handle` raises Poison for what can never be processed, and anything else for what may go well later.
    The fault point GROUP.message has an effect of its own: of `unacknowledged: 5` the broker does not hear
    that a message was processed before its sixth delivery.
    """

    group: str
    handle: Callable[[Message], None]
    publish: Callable[[Message], None]
    tracing: MessageTracing
    faults: Faults = field(default_factory=NoFaults)

    def process(self, delivery: Delivery) -> Verdict:
        """What the broker shall do with this delivery, which is done with otherwise."""
        key = delivery.headers.get(KEY_HEADER, "")
        with self.tracing.processing(delivery, self.group, key) as failure:
            if delivery.count > MAX_DELIVERIES:
                # It ended its consumer each time, or it would have been given up before.
                return self._given_up(delivery, failure, "tried too often", "its consumer ended each time")
            try:
                point, about = f"{self.group}.message", {"destination": delivery.destination, "key": key}
                unheard = int(self.faults.at(point, **about).get("unacknowledged", 0))
                self.handle(read(delivery, key))
            except Poison as error:
                failure.of(error)
                return self._given_up(delivery, failure, "unreadable", str(error))
            except Exception as error:
                failure.of(error)
                if delivery.count == MAX_DELIVERIES:
                    return self._given_up(delivery, failure, "tried too often", str(error))
                pause = _pause(delivery.count)
                text = "message %s failed (delivery %d) and comes again in %.1f s: %s"
                fields = self._about(delivery)
                logger.warning(text, delivery.id, delivery.count, pause, error, extra=fields)
                return Again(pause)
            logger.info("message %s is processed", delivery.id, extra=self._about(delivery))
        return Done() if delivery.count > unheard else Again(0.0)

    def _given_up(self, delivery: Delivery, failure: Failure, kind: str, reason: str) -> Verdict:
        failure.type = failure.type or "Poison"
        text = delivery.data.decode("utf-8", "replace")
        body = {"reason": reason, "destination": delivery.destination, "data": text}
        headers = {**delivery.headers, "Dashcam-Reason": reason.splitlines()[0][:200] if reason else kind}
        letter = Message(delivery.id, dead_letters(delivery.destination), "", body, headers)
        try:
            self.publish(letter)
        except BrokerAway as error:
            fields = self._about(delivery)
            logger.warning("the dead letter %s is not stored yet: %s", delivery.id, error, extra=fields)
            return Again(_pause(delivery.count))
        fields = self._about(delivery)
        logger.error("message %s is a dead letter, %s: %s", delivery.id, kind, reason, extra=fields)
        self.tracing.dead(delivery, self.group, kind)
        return Done()

    def _about(self, delivery: Delivery) -> dict[str, str]:
        key = delivery.headers.get(KEY_HEADER, "")
        return {**about(delivery, "process", key), "messaging.consumer.group.name": self.group}


def _pause(count: int) -> float:
    return float(min(0.2 * 2 ** (count - 1), 5.0))
