"""Sends what is in the outbox, in its order, until the broker has confirmed it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from opentelemetry.instrumentation.utils import suppress_instrumentation

from services.messages import boxes
from services.messages.envelope import BrokerAway, Message, about
from services.messages.looking import LOOK_EVERY, Looking
from services.messages.tracing import MessageTracing
from services.storage.database import Database

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 5.0


class Relay(Looking):
    """A thread between a database and a broker. `publish` returns when the broker has the message."""

    def __init__(
        self,
        database: Database,
        publish: Callable[[Message], None],
        tracing: MessageTracing,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database, self._publish, self._tracing, self._clock = database, publish, tracing, clock
        self._pause = LOOK_EVERY
        super().__init__("relay", self._send_all)

    def send(self) -> int:
        """Send what is there now; how much that was. Raises BrokerAway."""
        # Looking is nobody's request: its statements would each be a trace of their own.
        with suppress_instrumentation(), self._database.reading() as connection:
            waiting = boxes.unsent(connection)
            self._tracing.outbox(*boxes.backlog(connection, self._clock()))
        for message in waiting:
            with self._tracing.sending(message):
                self._publish(message)
                fields = about(message, "send", message.key)
                logger.info("message %s is sent", message.id, extra=fields)
            with suppress_instrumentation(), self._database.writing() as connection:
                boxes.sent(connection, message.id)
        return len(waiting)

    def _send_all(self) -> float:
        try:
            sent = self.send()
        except Exception as error:
            level = logging.WARNING if isinstance(error, BrokerAway) else logging.ERROR
            logger.log(level, "the outbox is not sent: %s", error)
            self._pause = min(max(2 * self._pause, LOOK_EVERY), LONGEST_PAUSE)
            self.hold_back(self._pause)
            return 0.0
        self._pause = 0.0 if sent else LOOK_EVERY
        return self._pause
