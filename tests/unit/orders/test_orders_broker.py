"""The client of NATS, on a real server: what is refused, closed for good, failing or away stops nobody."""

from __future__ import annotations

import itertools
import json
import logging
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.js.errors import APIError
from polling import until

from dashcam.stack.needs import NATS
from services.messages import nats_broker, nats_connection, streams
from services.messages.envelope import BrokerAway, BrokerFull, Delivery, Done, Message, Verdict
from services.messages.nats_broker import Nats

QUEUE = "orders.requests"
FLAGS = Path(__file__).parents[3] / "scenarios" / "flags.json"


def message(name: str) -> Message:
    return Message(name, QUEUE, "key", {})


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = NATS.path()
    assert found, "nats-server is missing: make prerequisites"
    command = [found, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(tmp_path / "nats")]
    with (tmp_path / "nats.log").open("wb") as log, subprocess.Popen(command, stderr=log) as server:
        yield f"nats://127.0.0.1:{port}"
        server.kill()


@pytest.fixture
def broker(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nats]:
    monkeypatch.setattr(nats_broker, "FAILED", 0.1)
    for module in (nats_broker, nats_connection):
        monkeypatch.setattr(module, "LOOK_EVERY", 0.1)
    broker = Nats(url, "test")
    until(lambda: sent(broker, "first"), "the broker to take messages")
    yield broker
    broker.close()


def sent(broker: Nats, name: str) -> bool:
    try:
        broker.publish(message(name), b"{}")
    except BrokerAway:
        return False
    return True


class Taken:
    """Processes messages: `failing` times it raises."""

    def __init__(self, failing: int = 0) -> None:
        self.names: list[str] = []
        self.failing = failing

    def __call__(self, delivery: Delivery) -> Verdict:
        self.names.append(delivery.id)
        if len(self.names) <= self.failing:
            raise RuntimeError("nobody expected this")
        return Done()


def nothing() -> None:
    """Nothing is away."""


def test_a_message_whose_processing_raises_is_told_of_and_comes_again(
    broker: Nats, caplog: pytest.LogCaptureFixture
) -> None:
    taken = Taken(failing=1)
    broker.consume(QUEUE, "dealer", taken, nothing)
    until(lambda: taken.names == ["first", "first"], "the message to come again")
    assert sent(broker, "second")
    until(lambda: taken.names[-1] == "second", "the next message")
    (record,) = (each for each in caplog.records if each.levelno == logging.ERROR)
    assert record.exc_info, "with its traceback"


def test_a_connection_that_the_server_closes_for_good_is_made_anew(
    broker: Nats, caplog: pytest.LogCaptureFixture
) -> None:
    taken = Taken()
    broker.consume(QUEUE, "dealer", taken, nothing)
    until(lambda: taken.names == ["first"], "the message")
    closed = broker._connection.client
    transport: Any = closed._transport
    broker._loop.call_soon_threadsafe(transport.write, b"NONSENSE\r\n")
    until(lambda: closed.is_closed, "the server to close the connection")
    until(lambda: sent(broker, "second"), "the broker to take messages")
    until(lambda: taken.names == ["first", "second"], "the consumer to go on")
    broker.check()
    (record,) = (each for each in caplog.records if each.levelno == logging.CRITICAL)
    assert "for good" in record.getMessage()
    assert "unknown protocol" in record.getMessage()


def test_no_message_is_taken_while_the_database_is_away(broker: Nats) -> None:
    away, looked, taken = threading.Event(), threading.Event(), Taken()
    away.set()

    def ready() -> None:
        looked.set()
        if away.is_set():
            raise RuntimeError("the database does not answer")

    broker.consume(QUEUE, "dealer", taken, ready)
    assert looked.wait(5)
    looked.clear()
    assert looked.wait(5), "it is looked again"
    assert taken.names == []
    away.clear()
    until(lambda: taken.names == ["first"], "the message, once the database is back")


def test_a_stream_of_another_configuration_is_changed(
    url: str, broker: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    smaller = tuple(each.evolve(max_bytes=4_000_000) for each in streams.STREAMS)
    monkeypatch.setattr(nats_broker, "STREAMS", smaller)
    other = Nats(url, "other")
    try:

        def limit() -> Any:
            return broker._wait(broker._connection.stream.stream_info(streams.STREAM), 5).config.max_bytes

        until(lambda: limit() == 4_000_000, "the new limit")
    finally:
        other.close()


def test_how_full_it_is_and_what_waits_is_told(broker: Nats) -> None:
    before = broker.used()
    assert set(before) == {streams.STREAM, streams.DEAD_STREAM}
    broker.publish(message("large"), b"x" * 500_000)
    grown = broker.used()[streams.STREAM] - before[streams.STREAM]
    assert grown == pytest.approx(500_000 / streams.MAX_BYTES, rel=0.01)
    with pytest.raises(BrokerAway):
        broker.depth(QUEUE, "nobody")


def test_a_full_broker_is_told_from_one_that_is_away_and_says_what_its_fault_says(
    url: str, broker: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = json.loads(FLAGS.read_text())["flags"]["broker-full"]["variants"]["on"]
    small = tuple(each.evolve(max_bytes=4_000) for each in streams.STREAMS)
    monkeypatch.setattr(nats_broker, "STREAMS", small)
    other, numbers = Nats(url, "other"), itertools.count()
    try:

        def refused() -> BrokerFull | None:
            try:
                # Another id each time: what the stream took before it was made small, it takes again.
                other.publish(message(f"filling-{next(numbers)}"), b"x" * 5_000)
            except BrokerFull as error:
                return error
            except BrokerAway:
                return None
            return None

        said = until(refused, "the broker to have no room").__cause__
        assert isinstance(said, APIError)
        assert (said.err_code, str(said)) == (fault["code"], fault["refuse"])
    finally:
        other.close()


def test_what_is_being_processed_is_finished_before_the_end(url: str, broker: Nats) -> None:
    begun, may_end, done = threading.Event(), threading.Event(), threading.Event()

    def process(delivery: Delivery) -> Verdict:
        begun.set()
        may_end.wait(5)
        done.set()
        return Done()

    broker.consume(QUEUE, "dealer", process, nothing)
    assert begun.wait(5)
    threading.Timer(0.3, may_end.set).start()
    broker.close()
    assert done.is_set()
    other = Nats(url, "other")
    try:
        until(lambda: other.depth(QUEUE, "dealer").count == 0, "it to have been acknowledged", within=5)
    finally:
        other.close()
