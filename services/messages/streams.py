"""The streams of NATS JetStream in which messages and dead letters wait, and what is in them."""

from __future__ import annotations

import datetime
from typing import Any

from nats.js.api import DiscardPolicy, RetentionPolicy, StreamConfig
from nats.js.errors import NotFoundError

from services.messages.envelope import Depth

STREAM, DEAD_STREAM = "orders", "dead-letters"
MAX_BYTES = 64 * 1024 * 1024
"""Of a stream. A full one refuses messages, which wait in the outbox of who sends them."""
KEPT = 300.0
"""Seconds that a message waits for its consumer. Whoever asked asks again after that, and nothing older is
worth an answer: without an end, a consumer that is away would find every repetition of every question."""
DUPLICATES = 120.0
"""Seconds in which the server itself drops a message with an id that it has."""

STREAMS = (
    StreamConfig(
        name=STREAM,
        subjects=["orders.>"],
        retention=RetentionPolicy.WORK_QUEUE,
        discard=DiscardPolicy.NEW,
        max_bytes=MAX_BYTES,
        max_age=KEPT,
        duplicate_window=DUPLICATES,
    ),
    StreamConfig(
        name=DEAD_STREAM,
        subjects=["dead.>"],
        discard=DiscardPolicy.OLD,
        max_bytes=MAX_BYTES,
        max_age=7 * 24 * 3600.0,
        duplicate_window=DUPLICATES,
    ),
)


async def depth(stream: Any, destination: str, group: str) -> Depth:
    """What waits in a queue for a group; `stream` is nats-py's JetStream context."""
    info = await stream.consumer_info(STREAM, group)
    count = (info.num_pending or 0) + (info.num_ack_pending or 0)
    if not count:
        return Depth(0, 0.0)
    try:
        oldest = await stream.get_msg(STREAM, seq=1, subject=destination, next=True)
    except NotFoundError:
        return Depth(0, 0.0)
    return Depth(count, _age(oldest.time))


async def used(stream: Any) -> dict[str, float]:
    """Which share of the bytes that it may hold each stream does, by its name."""
    found: dict[str, float] = {}
    for config in STREAMS:
        info = await stream.stream_info(config.name)
        found[str(config.name)] = info.state.bytes / (info.config.max_bytes or MAX_BYTES)
    return found


def _age(then: Any) -> float:
    """Seconds since `then`, which nats-py leaves as the server's text."""
    if isinstance(then, str):
        # Nanoseconds are more than Python reads.
        then = datetime.datetime.fromisoformat(then.rstrip("Z")[:26]).replace(tzinfo=datetime.UTC)
    if not isinstance(then, datetime.datetime):
        return 0.0
    return max(0.0, (datetime.datetime.now(datetime.UTC) - then).total_seconds())
