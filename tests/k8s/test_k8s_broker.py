"""Production's broker: three real servers with what the manifests give them, one of which is killed."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from manifests import Manifests
from polling import until
from rendering import rendered
from shop import Shop, opened
from verifying import Recorder

from dashcam.stack.ports import free_ports
from dashcam.stack.tools import NATS_SERVER

ORDERS, AT_ONCE = 60, 6
NATS = "NATS"
SECRET = {"NATS_PASSWORD": "-of_services", "CLUSTER_PASSWORD": "-of_servers"}
"""Both begin as numbers do, as one in 64 of ours does."""
PRODUCTION = Manifests(rendered("production"))


@dataclass
class Replicated(Shop):
    """Three servers with the files and the environment of their pods; names and ports are this machine's."""

    BROKERS: ClassVar[tuple[str, ...]] = ("nats-0", "nats-1", "nats-2")
    PORTS: ClassVar[dict[str, int]] = {"nats": 4222, "cluster": 6222, "health": 8222}

    at: dict[tuple[str, str], int] = field(default_factory=dict)
    """The port here of each server and port there."""

    def __post_init__(self) -> None:
        super().__post_init__()
        asked = [(server, port) for server in self.BROKERS for port in self.PORTS]
        self.at = dict(zip(asked, free_ports(len(asked), self.ports.values()), strict=True))

    def broker(self, name: str) -> tuple[list[str], dict[str, str]]:
        (workload,) = [each for each in PRODUCTION.workloads("StatefulSet") if each.name == "nats"]
        assert workload.spec["replicas"] == len(self.BROKERS)
        (container,) = workload.pod["containers"]
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        for file, text in PRODUCTION.config_files("nats").items():
            for port, number in self.PORTS.items():
                text = re.sub(rf"(port: ){number}\b", rf"\g<1>{self.at[name, port]}", text)
            (folder / file).write_text(text.replace("/data", str(folder / "data")))
        (config,) = container["args"]
        return [NATS_SERVER.path(), "-a", "127.0.0.1", config.replace("/etc/nats", str(folder))], self._here(
            environment(container["env"], name)
        )

    def told(self) -> dict[str, str]:
        # Another leader takes up to ten seconds, and longer on a busy machine.
        return {**self._here(of_service("orders")), "ORDERS_DEADLINE": "90"}

    def _here(self, told: dict[str, str]) -> dict[str, str]:
        def port(found: re.Match[str]) -> str:
            number = int(found[2])
            (name,) = [name for name, each in self.PORTS.items() if each == number]
            return f"127.0.0.1:{self.at[found[1], name]}"

        return {name: re.sub(r"(nats-\d)\.nats:(\d+)", port, value) for name, value in told.items()}

    def asked(self, server: str, path: str) -> Any:
        return httpx.get(f"http://127.0.0.1:{self.at[server, 'health']}{path}", timeout=5).json()


def environment(variables: list[dict[str, Any]], pod: str) -> dict[str, str]:
    """What the kubelet makes of a container's variables."""
    found: dict[str, str] = {}
    for each in variables:
        source = each.get("valueFrom", {})
        if reference := source.get("secretKeyRef"):
            assert reference["name"] == "nats"
            found[each["name"]] = SECRET[reference["key"]]
        else:
            value = each.get("value", pod)
            found[each["name"]] = re.sub(r"\$\((\w+)\)", lambda name: found[name[1]], value)
    return found


def of_service(name: str) -> dict[str, str]:
    """What a service is told of the broker."""
    (workload,) = [each for each in PRODUCTION.services() if each.name == name]
    (container,) = workload.pod["containers"]
    own = [each for each in container["env"] if each["name"].startswith("NATS_")]
    (source,) = [each["configMapRef"]["name"] for each in container["envFrom"] if name in str(each)]
    data = PRODUCTION.config_map(source, "dashcam") or {}
    return {key: value for key, value in data.items() if key.startswith("NATS_")} | environment(own, name)


@pytest.fixture
def shop(tmp_path: Path, ran: Recorder) -> Iterator[Replicated]:
    ran(NATS, version=NATS_SERVER.version, had=NATS_SERVER.had())
    with opened(Replicated(tmp_path)) as shop:
        yield shop


def test_orders_and_dealer_are_told_the_same() -> None:
    assert of_service("orders") == of_service("dealer")
    assert set(of_service("orders")) == {"NATS_URL", "NATS_REPLICAS", "NATS_USER", "NATS_PASSWORD"}


def leader(shop: Replicated) -> str:
    """The server that takes the messages of the stream now."""
    for server in shop.BROKERS:
        if server not in shop.running:
            continue
        account = shop.asked(server, "/jsz?streams=1&acc=$G")["account_details"][0]
        for stream in account["stream_detail"]:
            if stream["name"] == "orders" and len(stream["cluster"].get("replicas", ())) == 2:
                return str(stream["cluster"]["leader"])
    return ""


@pytest.mark.verifies(
    component=NATS,
    claim="as production runs it: three servers of which the stream's leader is killed in a storm of orders; "
    "none is lost and none doubled",
)
def test_no_order_is_lost_or_doubled_while_the_server_that_takes_them_is_killed(shop: Replicated) -> None:
    killed = until(lambda: leader(shop), "the stream to have its three copies", within=60)
    third = threading.Semaphore(0)

    def place(number: int) -> None:
        shop.place(number)
        third.release()

    with ThreadPoolExecutor(AT_ONCE) as storm:
        placed = [storm.submit(place, number) for number in range(ORDERS)]
        for _ in range(ORDERS // 3):
            assert third.acquire(timeout=60)
        shop.kill(killed)
        for each in placed:
            each.result()
    assert len(shop.ends_whole(ORDERS)) == ORDERS, "two servers of three are enough"
    assert until(lambda: leader(shop), "another leader", within=60) != killed


def test_the_killed_one_catches_up_and_nobody_is_let_in_without_the_password(shop: Replicated) -> None:
    killed = until(lambda: leader(shop), "the stream to have its three copies", within=60)
    shop.kill(killed)
    shop.place(1)
    assert shop.ends_whole(1)
    shop.start(killed)
    until(
        lambda: shop.asked(killed, "/healthz")["status"] == "ok", "it to have what the others have", within=60
    )
    line = f"CONNECT {json.dumps({'user': 'services', 'pass': 'guessed', 'verbose': True})}\r\n"
    with socket.create_connection(("127.0.0.1", shop.at[killed, "nats"]), timeout=20) as guessing:
        guessing.sendall(line.encode())
        answered = b"".join(iter(lambda: guessing.recv(4096), b""))
    assert b"Authorization Violation" in answered
