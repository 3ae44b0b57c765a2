"""Orders and their messages on a day: one for every hundred requests, a second old at most when seen."""

from __future__ import annotations

import random
from collections.abc import Iterator

from dashboards.tests.day.service import Series
from dashboards.tests.day.traffic import MINUTES, Rate, counter, poisson, row

DAY = range(MINUTES)
BACK = 25
"""Seconds that a message has waited, at most, when all is started anew."""


def messages(load: Rate, begun: range) -> Iterator[Series]:
    """The input series of promtool; in the minutes of `begun` what was away has just come back."""
    chance = random.Random("orders")
    orders = [poisson(chance, load(minute) / 100) for minute in DAY]
    late = [int(minute in begun) for minute in DAY]
    of = ('job="orders"', 'instance="o"')
    queue = (*of, 'messaging_destination_name="orders.answers"', 'messaging_consumer_group_name="orders"')
    sent = (*of, 'messaging_system="nats"', 'error_type=""')
    waits = [BACK if is_late else chance.choice((0, 0, 0, 1)) for is_late in late]
    yield row("messaging_client_consumed_messages_total", list(counter(orders)), *queue)
    yield row("messaging_client_sent_messages_total", list(counter(orders)), *sent)
    yield row("messaging_redelivered_messages_total", list(counter(late)), *queue)
    yield row("messaging_dead_letters_total", [0] * MINUTES, *queue, 'reason="unreadable"')
    yield row("messaging_queue_oldest_age_seconds", waits, *queue)
    yield row("messaging_outbox_oldest_age_seconds", waits, *of)
    yield row("messaging_stream_used_ratio", [each / 10_000 for each in orders], *of, 'stream="orders"')
    for step in ("confirming", "cancelling"):
        yield row("orders_undecided_oldest_age_seconds", waits, *of, f'step="{step}"')
        yield row("orders_step_attempts", [2 * bool(each) for each in waits], *of, f'step="{step}"')
