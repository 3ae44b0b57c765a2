"""Orders on the real programs, broker and databases, each of which is ended by kill -9 again and again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest
from polling import until
from shop import Shop, opened

ORDERS = int(os.environ.get("KILLED_ORDERS", "24"))
"""How many are placed while parts are ended. docs/msa-drawbacks.md has the figure of more."""
SEED = os.environ.get("KILLED_SEED", "dashcam")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with opened(Shop(tmp_path)) as shop:
        yield shop


def test_an_order_is_confirmed_over_the_real_broker(shop: Shop) -> None:
    shop.place(1)
    until(lambda: not shop.undecided(), "the order to be decided")
    assert shop.rows("orders", "SELECT state, price FROM orders") == [("confirmed", 61_999)]
    (order,) = shop.rows("orders", "SELECT id FROM orders")[0]
    assert shop.ask("dealer", f"/confirmations/{order}")["state"] == "granted"


def test_orders_end_whole_while_every_part_is_killed(shop: Shop) -> None:
    chance = Random(SEED)
    for number in range(ORDERS):
        shop.place(number)
        if number % 4 == 3:
            victim = chance.choice(["orders", "dealer", "nats", "car", "minus"])
            shop.kill(victim)
            shop.start(victim)
    assert shop.ends_whole(ORDERS), "none got through: nothing was shown"


def test_a_message_that_nobody_can_read_leaves_the_queue_to_the_others(shop: Shop) -> None:
    import asyncio

    import nats

    async def poison() -> None:
        connection = await nats.connect(f"nats://127.0.0.1:{shop.ports['nats']}")
        await connection.jetstream().publish("orders.requests", b"{")
        await connection.close()

    async def dead() -> list[bytes]:
        connection = await nats.connect(f"nats://127.0.0.1:{shop.ports['nats']}")
        letter = await connection.jetstream().get_last_msg("dead-letters", "dead.orders.requests")
        await connection.close()
        return [letter.data or b""]

    # In a thread of its own: a browser's tests may have left a loop in this one.
    def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(work())).result()

    until(lambda: run(poison) is None, "the broker to take it")
    shop.place(1)
    until(lambda: not shop.undecided(), "the order to be decided")
    assert shop.rows("orders", "SELECT state FROM orders") == [("confirmed",)]
    (letter,) = until(lambda: run(dead), "the dead letter")
    assert json.loads(letter)["data"] == "{"
