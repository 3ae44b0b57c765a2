"""Orders on the real programs, broker and databases, each of which is ended by kill -9 again and again."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from polling import until

from dashcam.stack.needs import NATS

ORDERS = int(os.environ.get("KILLED_ORDERS", "24"))
"""How many are placed while parts are ended. docs/msa-drawbacks.md has the figure of more."""
SEED = os.environ.get("KILLED_SEED", "dashcam")


@dataclass
class Shop:
    """The programs in a folder, each on free ports."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = ("nats", "minus", "car", "orders", "dealer")
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
        self.ports = {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}
        for one in sockets:
            one.close()

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            command = self._nats() if name == "nats" else [sys.executable, "-m", f"services.{name}"]
            self.running[name] = subprocess.Popen(
                command, env=self._environ(name), stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """SIGKILL to a program and to its workers, at once."""
        os.killpg(self.running[name].pid, signal.SIGKILL)
        self.running[name].wait()

    def ask(self, name: str, path: str, document: Any = None) -> Any:
        url = f"http://127.0.0.1:{self.ports[name]}{path}"
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def rows(self, name: str, question: str) -> list[Any]:
        with sqlite3.connect(f"file:{self.folder}/{name}.sqlite3?mode=ro", uri=True) as connection:
            return connection.execute(question).fetchall()

    def logs(self) -> str:
        return "\n".join(f"== {path.name}\n{path.read_text()[-2000:]}" for path in self.folder.glob("*.log"))

    def _nats(self) -> list[str]:
        found = NATS.path()
        assert found, "nats-server is missing: make prerequisites"
        address = ["-a", "127.0.0.1", "-p", str(self.ports["nats"])]
        return [found, *address, "-js", "-sd", str(self.folder / "nats")]

    def _environ(self, name: str) -> dict[str, str]:
        return {
            **os.environ,
            "DASHCAM_STATE_DIR": str(self.folder),
            "PORT": str(self.ports[name]),
            "NATS_URL": f"nats://127.0.0.1:{self.ports['nats']}",
            "CAR_URL": f"http://127.0.0.1:{self.ports['car']}",
            "MINUS_URL": f"http://127.0.0.1:{self.ports['minus']}",
            "ORDERS_DEADLINE": "6",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_EXPORTER_PROMETHEUS_PORT": "none",
        }


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    for name in shop.ports:
        shop.start(name)
    try:
        for name, path in (("minus", "/minus?x=1&y=1"), ("car", "/cars?limit=1")):
            until(lambda: shop.ask(name, path), f"{name} to answer", within=60)  # noqa: B023
        until(lambda: shop.ask("orders", "/openapi.json"), "orders to answer", within=60)
        yield shop
    finally:
        for name in shop.running:
            shop.kill(name)


def place(shop: Shop, number: int) -> None:
    """Place an order, however often it takes: a request that is repeated has the same key."""
    body = json.dumps({"maker": "bentz", "model": "e-class", "discount": number}).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"order-{number}"}

    def attempt() -> bool:
        url = f"http://127.0.0.1:{shop.ports['orders']}/orders"
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10):
            return True

    until(attempt, f"order {number} to be taken", within=60, every=0.2)


def undecided(shop: Shop) -> list[Any]:
    return shop.rows("orders", "SELECT id, state FROM orders WHERE decided IS NULL")


def test_an_order_is_confirmed_over_the_real_broker(shop: Shop) -> None:
    place(shop, 1)
    until(lambda: not undecided(shop), "the order to be decided")
    assert shop.rows("orders", "SELECT state, price FROM orders") == [("confirmed", 61_999)]
    (order,) = shop.rows("orders", "SELECT id FROM orders")[0]
    assert shop.ask("dealer", f"/confirmations/{order}")["state"] == "granted"


def test_orders_end_whole_while_every_part_is_killed(shop: Shop) -> None:
    chance = Random(SEED)
    for number in range(ORDERS):
        place(shop, number)
        if number % 4 == 3:
            victim = chance.choice(["orders", "dealer", "nats", "car", "minus"])
            shop.kill(victim)
            shop.start(victim)
    until(lambda: not undecided(shop), lambda: f"{undecided(shop)} to be decided\n{shop.logs()}", within=120)

    orders = dict(shop.rows("orders", "SELECT id, state FROM orders"))
    reserved = Counter(shop.rows("car", "SELECT id FROM reservations WHERE state = 'active'"))
    granted = {order for (order,) in shop.rows("dealer", "SELECT id FROM answers WHERE state = 'granted'")}
    confirmed = {order for order, state in orders.items() if state == "confirmed"}
    assert len(orders) == ORDERS, "each key is one order"
    assert {order for (order,) in reserved} == confirmed == granted
    assert confirmed, "none got through: nothing was shown"


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
    place(shop, 1)
    until(lambda: not undecided(shop), "the order to be decided")
    assert shop.rows("orders", "SELECT state FROM orders") == [("confirmed",)]
    (letter,) = until(lambda: run(dead), "the dead letter")
    assert json.loads(letter)["data"] == "{"
