"""All that an order needs, as real programs in a folder, on free ports, each to be ended by kill -9."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from polling import until

from dashcam.stack.needs import NATS
from dashcam.stack.ports import free_ports

SERVICES = ("minus", "car", "orders", "dealer")


@dataclass
class Shop:
    """The services, and a broker as `make up` has it; other kinds say what they run and tell services."""

    BROKERS: ClassVar[tuple[str, ...]] = ("nats",)

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = (*self.BROKERS, *SERVICES)
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            command, environ = (
                ([sys.executable, "-m", f"services.{name}"], self._of_service(name))
                if name in SERVICES
                else self.broker(name)
            )
            self.running[name] = subprocess.Popen(
                command, env={**os.environ, **environ}, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """SIGKILL to a program and to its workers, at once."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def ask(self, name: str, path: str, document: Any = None) -> Any:
        url = f"http://127.0.0.1:{self.ports[name]}{path}"
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def place(self, number: int) -> None:
        """Place an order, however often it takes: a request that is repeated has the same key."""
        body = json.dumps({"maker": "bentz", "model": "e-class", "discount": number}).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"order-{number}"}

        def attempt() -> bool:
            url = f"http://127.0.0.1:{self.ports['orders']}/orders"
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10):
                return True

        until(attempt, lambda: f"order {number} to be taken\n{self.logs()}", every=0.2)

    def undecided(self) -> list[Any]:
        return self.rows("orders", "SELECT id, state FROM orders WHERE decided IS NULL")

    def ends_whole(self, count: int) -> set[str]:
        """Hold that each of `count` orders is confirmed everywhere or nowhere; the confirmed ones."""
        until(
            lambda: not self.undecided(),
            lambda: f"{self.undecided()} to be decided\n{self.logs()}",
        )
        orders = dict(self.rows("orders", "SELECT id, state FROM orders"))
        reserved = {id_ for (id_,) in self.rows("car", "SELECT id FROM reservations WHERE state = 'active'")}
        granted = {id_ for (id_,) in self.rows("dealer", "SELECT id FROM answers WHERE state = 'granted'")}
        confirmed = {order for order, state in orders.items() if state == "confirmed"}
        assert len(orders) == count, "each key is one order"
        assert reserved == confirmed == granted
        return confirmed

    def rows(self, name: str, question: str) -> list[Any]:
        with sqlite3.connect(f"file:{self.folder}/{name}.sqlite3?mode=ro", uri=True) as connection:
            return connection.execute(question).fetchall()

    def logs(self) -> str:
        return "\n".join(f"== {path.name}\n{path.read_text()[-2000:]}" for path in self.folder.glob("*.log"))

    def broker(self, name: str) -> tuple[list[str], dict[str, str]]:
        """The command of a broker, and what is in its environment."""
        found = NATS.path()
        assert found, "nats-server is missing: make prerequisites"
        address = ["-a", "127.0.0.1", "-p", str(self.ports[name])]
        return [found, *address, "-js", "-sd", str(self.folder / name)], {}

    def told(self) -> dict[str, str]:
        """What services are told of the broker, and else."""
        return {"NATS_URL": f"nats://127.0.0.1:{self.ports['nats']}"}

    def _of_service(self, name: str) -> dict[str, str]:
        return {
            "DASHCAM_STATE_DIR": str(self.folder),
            "PORT": str(self.ports[name]),
            "CAR_URL": f"http://127.0.0.1:{self.ports['car']}",
            "MINUS_URL": f"http://127.0.0.1:{self.ports['minus']}",
            "ORDERS_DEADLINE": "6",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_EXPORTER_PROMETHEUS_PORT": "none",
            **self.told(),
        }


@contextmanager
def opened(shop: Shop) -> Iterator[Shop]:
    """All of it running, until the block ends."""
    try:
        for name in (*shop.BROKERS, *SERVICES):
            shop.start(name)
        for name, path in (
            ("minus", "/minus?x=1&y=1"),
            ("car", "/cars?limit=1"),
            ("orders", "/openapi.json"),
        ):
            until(lambda: shop.ask(name, path), f"{name} to answer")  # noqa: B023
        yield shop
    finally:
        for name in list(shop.running):
            shop.kill(name)
