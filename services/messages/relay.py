"""Sends what is in the outbox, in its order, until the broker has confirmed it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from opentelemetry.instrumentation.utils import suppress_instrumentation

from services.messages import boxes
from services.messages.envelope import BrokerAway, Message
from services.messages.tracing import MessageTracing
from services.storage.database import Database

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.5
"""Seconds between two looks into the outbox. :meth:`Relay.wake` makes one at once."""
LONGEST_PAUSE = 5.0


class Relay:
    """A thread between a database and a broker. `publish` returns when the broker has the message."""

    def __init__(
        self,
        database: Database,
        publish: Callable[[Message], None],
        tracing: MessageTracing,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database, self._publish, self._tracing, self._clock = database, publish, tracing, clock
        self._awake, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def wake(self) -> None:
        """There is something in the outbox."""
        self._awake.set()

    def stop(self, timeout: float = 5.0) -> None:
        """End after the message that is being sent."""
        self._ended.set()
        self._awake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def send(self) -> int:
        """Send what is there now; how much that was. Raises BrokerAway."""
        # Looking is nobody's request: its statements would each be a trace of their own.
        with suppress_instrumentation(), self._database.reading() as connection:
            waiting = boxes.unsent(connection)
            self._tracing.outbox(*boxes.backlog(connection, self._clock()))
        for message in waiting:
            with self._tracing.sending(message):
                self._publish(message)
            with suppress_instrumentation(), self._database.writing() as connection:
                boxes.sent(connection, message.id)
        return len(waiting)

    def _run(self) -> None:
        pause = LOOK_EVERY
        while not self._ended.is_set():
            self._awake.clear()
            try:
                sent = self.send()
                pause = 0.0 if sent else LOOK_EVERY
            except Exception as error:
                level = logging.WARNING if isinstance(error, BrokerAway) else logging.ERROR
                logger.log(level, "the outbox is not sent: %s", error)
                pause = min(max(2 * pause, LOOK_EVERY), LONGEST_PAUSE)
                self._ended.wait(pause)
                continue
            if pause:
                self._awake.wait(pause)
