"""What a service that speaks by messages has running: the broker's connection, the relay, and its figures."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from opentelemetry.instrumentation.utils import suppress_instrumentation

from observability import Telemetry
from services.faults.points import Faults
from services.messages import boxes
from services.messages.consumer import Consumer
from services.messages.envelope import BrokerAway, Delivery, Depth, Message, Verdict
from services.messages.refusals import refusal
from services.messages.relay import Relay
from services.messages.tracing import MessageTracing
from services.storage.database import Database

logger = logging.getLogger(__name__)

FIGURES_EVERY = 2.0
"""Seconds between two looks at what waits."""
FORGET_EVERY = 3600.0
HANGS = 0.2
"""Seconds between two looks whether a consumer that was stopped shall go on."""


class Broker(Protocol):
    """What carries the messages: `services.messages.nats_broker.Nats`, or a test's own."""

    @property
    def server(self) -> tuple[str, int]:
        """Its host and port."""

    def publish(self, message: Message, data: bytes) -> None:
        """Keep a message. Raises BrokerAway where that is not sure, BrokerFull where there is no room."""

    def consume(
        self,
        destination: str,
        group: str,
        process: Callable[[Delivery], Verdict],
        ready: Callable[[], None],
    ) -> None:
        """Have `process` called with each message of a queue; none is taken while `ready` raises."""

    def depth(self, destination: str, group: str) -> Depth:
        """What waits in a queue. Raises BrokerAway."""

    def used(self) -> Mapping[str, float]:
        """Which share of its room each stream takes. Raises BrokerAway."""

    def check(self) -> None:
        """Raise BrokerAway while it is not there."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True)
class Queue:
    """A queue, and the group that consumes it."""

    destination: str
    group: str


class Messaging:
    """Messages of one service. Nothing runs before :meth:`start`; `more` is called at each look at them.

    Two fault points have effects of their own. At broker.publish, `refuse: "text"` is what the broker says
    instead of taking a message, by `code: 10077` as one that is full does, and `drop: ["traceparent"]` takes
    these headers away. At GROUP.take,
    `stopped: true` keeps a consumer from its queue, as a thread that hangs does.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        database: Database,
        broker: Broker,
        faults: Faults,
    ) -> None:
        self.tracing = MessageTracing(telemetry, broker.server)
        self.more: Callable[[], None] = lambda: None
        self._database, self._broker, self._faults = database, broker, faults
        self.relay = Relay(database, self.publish, self.tracing)
        self._queues: list[Queue] = []
        self._ended = threading.Event()
        self._figures = threading.Thread(target=self._look, name="figures", daemon=True)

    def publish(self, message: Message) -> None:
        """Give a message to the broker. Raises BrokerAway."""
        effects = self._faults.at("broker.publish", destination=message.destination)
        if said := effects.get("refuse"):
            kind = refusal(effects.get("code"))
            raise kind(f"the broker does not confirm {message.id}: {said}")
        if lost := effects.get("drop"):
            kept = {name: value for name, value in message.headers.items() if name not in lost}
            message = replace(message, headers=kept)
        self._broker.publish(message, json.dumps(message.body).encode())

    def consume(self, queue: Queue, handle: Callable[[Message], None]) -> None:
        """Have `handle` called with the messages of a queue, from now on.

        None is taken while the database is away: each would fail, and be a dead letter after a few times.
        """
        consumer = Consumer(queue.group, handle, self.publish, self.tracing, self._faults)
        self.watch(queue)
        self._broker.consume(queue.destination, queue.group, consumer.process, lambda: self._ready(queue))

    def watch(self, queue: Queue) -> None:
        """Say what waits in a queue: of one that is sent to, so that a consumer that is away is seen."""
        self._queues.append(queue)

    def start(self) -> None:
        """Begin to send what is in the outbox, and to look at what waits."""
        self.relay.start()
        self._figures.start()

    def stored(self) -> None:
        """Messages were stored: they are sent at once."""
        self.relay.wake()

    def stop(self) -> None:
        """End what runs: first what needs the broker. What is decided from then on goes out later."""
        self._ended.set()
        self.relay.stop()
        self._broker.close()

    def _connected(self) -> bool:
        try:
            self._broker.check()
        except BrokerAway:
            return False
        return True

    def _ready(self, queue: Queue) -> None:
        point, about = f"{queue.group}.take", {"destination": queue.destination}
        while self._faults.at(point, **about).get("stopped") and not self._ended.wait(HANGS):
            pass
        with suppress_instrumentation():
            self._database.check()

    def _look(self) -> None:
        forgotten = 0.0
        while not self._ended.wait(FIGURES_EVERY):
            try:
                if time.monotonic() - forgotten > FORGET_EVERY:
                    forgotten = time.monotonic()
                    with suppress_instrumentation(), self._database.writing() as connection:
                        boxes.forget(connection, time.time())
                self.look()
            except BrokerAway as error:
                logger.debug("no figures of the queues: %s", error)
            except Exception as error:
                logger.warning("no figures of the messages: %s", error)

    def look(self) -> None:
        """Say whether the broker is there, what waits in the outbox and in the queues, and how full it is.

        Raises BrokerAway after the outbox.
        """
        self.tracing.broker(self._connected())
        with suppress_instrumentation():
            with self._database.reading() as connection:
                self.tracing.outbox(*boxes.backlog(connection, time.time()))
            self.more()
        for stream, used in self._broker.used().items():
            self.tracing.stream(stream, used)
        for queue in self._queues:
            depth = self._broker.depth(queue.destination, queue.group)
            self.tracing.queue(queue.destination, queue.group, depth.count, depth.oldest)
