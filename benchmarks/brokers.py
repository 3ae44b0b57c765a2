"""Compare three brokers as this project would use them: memory, latency of a durable publish, kill -9.

    python -m venv .brokers && .brokers/bin/pip install nats-py pika redis
    .brokers/bin/python benchmarks/brokers.py nats|redis|rabbitmq

Needs `nats-server`, `redis-server` or `rabbitmq-server` on PATH. Each is started alone on a port of its own
with what it offers to keep a message before it confirms it, is sent MESSAGES one after the other by its usual
client, and is killed with SIGKILL at the end; what it still has after a restart is counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

MESSAGES = 1000
BODY = json.dumps({"order": "0" * 32, "car": "bentz/e-class", "price": 61500}).encode()


def main(broker: str) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        start, use, count = {
            "nats": (nats, use_nats, count_nats),
            "redis": (redis, use_redis, count_redis),
            "rabbitmq": (rabbitmq, use_rabbitmq, count_rabbitmq),
        }[broker]
        began = time.monotonic()
        process = start(folder)
        up = time.monotonic() - began
        time.sleep(5)
        idle, cpu = memory(process), load(process)
        times, trip = use()
        used = memory(process)
        kill(process)
        process = start(folder)
        left = count()
        kill(process)
        times.sort()
        print(
            json.dumps(
                {
                    "broker": broker,
                    "start_s": round(up, 2),
                    "idle_mib": idle,
                    "idle_cpu_percent": cpu,
                    "used_mib": used,
                    "publish_ms_p50": round(statistics.median(times) * 1e3, 2),
                    "publish_ms_p99": round(times[int(len(times) * 0.99)] * 1e3, 2),
                    "consume_ms_p50": round(statistics.median(trip) * 1e3, 2),
                    "confirmed": MESSAGES,
                    "after_kill": left,
                }
            )
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tree(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def memory(process: subprocess.Popen[bytes]) -> int:
    return round(sum(each.memory_full_info().pss for each in tree(process)) / 2**20)


def load(process: subprocess.Popen[bytes]) -> float:
    spent = lambda: sum(sum(each.cpu_times()[:2]) for each in tree(process))  # noqa: E731
    before = spent()
    time.sleep(10)
    return round((spent() - before) * 10, 1)


def kill(process: subprocess.Popen[bytes]) -> None:
    for each in tree(process):
        each.send_signal(signal.SIGKILL)
    process.wait()


def started(command: list[str], ready: Callable[[], object], **environ: str) -> subprocess.Popen[bytes]:
    # Every word of `command` is written in this file.
    process = subprocess.Popen(  # noqa: S603
        command, env={**os.environ, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 90
    while True:
        try:
            ready()
            return process
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def timed(times: list[float], call: Callable[[], object]) -> None:
    began = time.perf_counter()
    call()
    times.append(time.perf_counter() - began)


# -- NATS JetStream -----------------------------------------------------------------------------


def nats(folder: Path) -> subprocess.Popen[bytes]:
    import nats as client

    async def ready() -> None:
        connection = await client.connect("nats://127.0.0.1:14222", allow_reconnect=False, connect_timeout=1)
        await connection.jetstream().account_info()
        await connection.close()

    return started(
        ["nats-server", "-a", "127.0.0.1", "-p", "14222", "-js", "-sd", str(folder)],
        lambda: asyncio.run(ready()),
    )


def use_nats() -> tuple[list[float], list[float]]:
    return asyncio.run(_use_nats())


async def _use_nats() -> tuple[list[float], list[float]]:
    import nats as client

    connection = await client.connect("nats://127.0.0.1:14222")
    stream = connection.jetstream()
    await stream.add_stream(name="orders", subjects=["orders.>"])
    times, trip = [], []
    for number in range(MESSAGES):
        began = time.perf_counter()
        await stream.publish("orders.new", BODY, headers={"Nats-Msg-Id": str(number)})
        times.append(time.perf_counter() - began)
    subscription = await stream.pull_subscribe("orders.new", "dealer")
    for _ in range(200):
        began = time.perf_counter()
        (message,) = await subscription.fetch(1)
        await message.ack_sync()
        trip.append(time.perf_counter() - began)
    return times, trip


def count_nats() -> int:
    async def count() -> int:
        import nats as client

        connection = await client.connect("nats://127.0.0.1:14222")
        info = await connection.jetstream().stream_info("orders")
        await connection.close()
        return int(info.state.messages)

    return asyncio.run(count())


# -- Redis streams ------------------------------------------------------------------------------


def _redis():
    import redis as client

    return client.Redis(port=16379)


def redis(folder: Path) -> subprocess.Popen[bytes]:
    return started(
        [
            "redis-server",
            "--bind",
            "127.0.0.1",
            "--port",
            "16379",
            "--dir",
            str(folder),
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--save",
            "",
        ],
        lambda: _redis().ping(),
    )


def use_redis() -> tuple[list[float], list[float]]:
    client = _redis()
    client.xgroup_create("orders", "dealer", mkstream=True)
    times, trip = [], []
    for _ in range(MESSAGES):
        timed(times, lambda: client.xadd("orders", {"body": BODY}))
    for _ in range(200):

        def take() -> None:
            ((_, ((number, _),)),) = client.xreadgroup("dealer", "one", {"orders": ">"}, count=1)
            client.xack("orders", "dealer", number)

        timed(trip, take)
    return times, trip


def count_redis() -> int:
    return int(_redis().xlen("orders"))


# -- RabbitMQ quorum queues ---------------------------------------------------------------------


def _rabbit():
    import pika

    return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", 15673))


def rabbitmq(folder: Path) -> subprocess.Popen[bytes]:
    (folder / "c.conf").write_text("listeners.tcp.1 = 127.0.0.1:15673\n")
    return started(
        ["rabbitmq-server"],
        lambda: _rabbit().close(),
        RABBITMQ_NODENAME="bench@localhost",
        HOME=str(folder),
        RABBITMQ_MNESIA_BASE=str(folder),
        RABBITMQ_LOG_BASE=str(folder),
        RABBITMQ_CONFIG_FILE=str(folder / "c.conf"),
        RABBITMQ_DIST_PORT="25673",
        RABBITMQ_PID_FILE=str(folder / "pid"),
    )


def use_rabbitmq() -> tuple[list[float], list[float]]:
    import pika

    channel = _rabbit().channel()
    channel.queue_declare("orders", durable=True, arguments={"x-queue-type": "quorum"})
    channel.confirm_delivery()
    times, trip = [], []
    for _ in range(MESSAGES):
        timed(times, lambda: channel.basic_publish("", "orders", BODY, pika.BasicProperties(delivery_mode=2)))
    for _ in range(200):

        def take() -> None:
            method, _, _ = channel.basic_get("orders")
            channel.basic_ack(method.delivery_tag)

        timed(trip, take)
    return times, trip


def count_rabbitmq() -> int:
    channel = _rabbit().channel()
    end = time.monotonic() + 30
    while (
        left := channel.queue_declare("orders", durable=True, passive=True).method.message_count
    ) == 0 and time.monotonic() < end:
        time.sleep(0.5)
    return int(left)


main(sys.argv[1])
