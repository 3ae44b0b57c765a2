"""What the faults of messages and sagas do to the real services, switched by the catalogue's own flags."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from fakebroker import FakeBroker
from flask import Flask
from orderapps import FakeCar, dealer_app, orders_app

from dashcam.sources.switches import Switches
from services.faults.flagd import LOOK_SECONDS
from services.messages import signals
from services.messages.envelope import Again, BrokerAway, BrokerFull, Done, Message

ORDER = {"maker": "bentz", "model": "e-class", "discount": 500}
ASKED = {"type": "confirm", "maker": "bentz", "model": "e-class", "price": 100, "currency": "EUR"}
REQUESTS = "orders.requests"

Switch = Callable[[str, bool], None]


@pytest.fixture
def switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Switch:
    switches = Switches(tmp_path / "faults.json")
    switches.all_off()
    monkeypatch.setenv("DASHCAM_FAULTS_FILE", str(switches.path))
    monkeypatch.setattr("services.faults.flagd.LOOK_SECONDS", 0.0)
    return switches.set


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def orders(switch: Switch, broker: FakeBroker, tmp_path: Path) -> Iterator[Flask]:
    with orders_app(f"sqlite:///{tmp_path}/orders.sqlite3", FakeCar(), broker) as app:
        yield app


@pytest.fixture
def dealer(switch: Switch, broker: FakeBroker, tmp_path: Path) -> Iterator[Flask]:
    with dealer_app(f"sqlite:///{tmp_path}/dealer.sqlite3", broker) as app:
        yield app


def ask(broker: FakeBroker, key: str) -> None:
    broker.publish(Message(f"{key}.confirm.1", REQUESTS, key, ASKED), b'{"type": "confirm", "price": 100}')


def test_a_stopped_consumer_takes_nothing_until_it_goes_on(
    dealer: Flask, broker: FakeBroker, switch: Switch
) -> None:
    broker.ready[REQUESTS]()
    switch("dealer-consumer-stopped", True)
    taking = threading.Thread(target=broker.ready[REQUESTS])
    taking.start()
    taking.join(2 * LOOK_SECONDS)
    assert taking.is_alive()
    switch("dealer-consumer-stopped", False)
    taking.join(10)
    assert not taking.is_alive()


def test_a_poisoned_message_comes_again_and_the_next_one_does_not(
    dealer: Flask, broker: FakeBroker, switch: Switch
) -> None:
    switch("dealer-poison", True)
    ask(broker, "0abc")
    assert isinstance(broker.deliver(REQUESTS), Again)
    broker.queues[REQUESTS].clear()
    ask(broker, "1abc")
    assert isinstance(broker.deliver(REQUESTS), Done)


def test_a_message_whose_processing_is_not_heard_of_comes_six_times_and_is_answered_once(
    dealer: Flask, broker: FakeBroker, switch: Switch
) -> None:
    switch("dealer-duplicates", True)
    ask(broker, "1abc")
    verdicts = [broker.deliver(REQUESTS, count) for count in range(1, 7)]
    assert verdicts == [Again(0.0)] * 5 + [Done()]
    assert dealer.extensions["dealer"].messaging.relay.send() == 1


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ("broker-refusing", BrokerAway, "no response from stream"),
        ("broker-full", BrokerFull, "maximum bytes exceeded"),
    ],
)
def test_a_broker_that_refuses_leaves_messages_in_the_outbox_and_is_counted_by_why(
    orders: Flask, switch: Switch, fault: str, kind: type[BrokerAway], says: str
) -> None:
    messaging = orders.extensions["orders"].messaging
    orders.test_client().post("/orders", json=ORDER)
    switch(fault, True)
    with pytest.raises(BrokerAway, match=says) as refused:
        messaging.relay.send()
    assert refused.type is kind
    sent = messaging.tracing._telemetry.metric(signals.SENT)
    assert sent.labels("nats", "send", REQUESTS, kind.__name__)._value.get() == 1
    switch(fault, False)
    assert messaging.relay.send() == 1


def test_a_lost_context_is_missing_in_the_message_and_nothing_else(
    orders: Flask, broker: FakeBroker, switch: Switch
) -> None:
    relay = orders.extensions["orders"].messaging.relay
    for lost in (False, True):
        switch("broker-context-lost", lost)
        orders.test_client().post("/orders", json=ORDER)
        relay.send()
    whole, cut = (set(delivery.headers) for delivery in broker.queues[REQUESTS])
    assert whole - cut == {"traceparent"}


def test_orders_that_are_forgotten_stay_where_they_are(
    orders: Flask, switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = orders.extensions["orders"].runner
    orders.test_client().post("/orders", json=ORDER)
    later = time.time() + 60
    monkeypatch.setattr(runner._sagas.store, "due", partial(_due, runner._sagas.store.due, later))
    switch("orders-forgotten", True)
    assert runner._work() == []
    switch("orders-forgotten", False)
    assert len(runner._work()) == 1


def _due(due: Callable[[float, float], list[str]], later: float, now: float, lease: float) -> list[str]:
    return due(later, lease)
