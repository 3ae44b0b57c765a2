"""The streams of NATS JetStream in which messages and dead letters wait."""

from __future__ import annotations

from nats.js.api import DiscardPolicy, RetentionPolicy, StreamConfig

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
