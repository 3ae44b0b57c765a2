"""A broker in memory that delivers when a test says so, and is away when it says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from services.messages.consumer import KEY_HEADER
from services.messages.envelope import BrokerAway, Delivery, Depth, Done, Message, Verdict

Process = Callable[[Delivery], Verdict]


@dataclass
class FakeBroker:
    """Keeps what is published. :meth:`deliver` gives the next message of a queue to who consumes it."""

    away: bool = False
    server: tuple[str, int] = ("broker.example", 4222)
    queues: dict[str, list[Delivery]] = field(default_factory=dict)
    consumers: dict[str, Process] = field(default_factory=dict)
    ready: dict[str, Callable[[], None]] = field(default_factory=dict)

    def publish(self, message: Message, data: bytes) -> None:
        if self.away:
            raise BrokerAway("it is away")
        headers = {**message.headers, KEY_HEADER: message.key}
        delivery = Delivery(message.id, message.destination, data, headers)
        self.queues.setdefault(message.destination, []).append(delivery)

    def consume(self, destination: str, group: str, process: Process, ready: Callable[[], None]) -> None:
        self.consumers[destination], self.ready[destination] = process, ready

    def deliver(self, destination: str, count: int = 1) -> Verdict:
        """Deliver the oldest message of a queue, as if for the `count`-th time; it stays until it is done."""
        waiting = self.queues[destination]
        verdict = self.consumers[destination](Delivery(**{**vars(waiting[0]), "count": count}))
        if isinstance(verdict, Done):
            waiting.pop(0)
        return verdict

    def depth(self, destination: str, group: str) -> Depth:
        self.check()
        return Depth(len(self.queues.get(destination, ())), 0.0)

    def used(self) -> dict[str, float]:
        self.check()
        return {"orders": sum(map(len, self.queues.values())) / 100}

    def check(self) -> None:
        if self.away:
            raise BrokerAway("it is away")

    def close(self) -> None:
        self.consumers.clear()
