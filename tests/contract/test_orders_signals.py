"""An order in its signals: one trace over both services and their messages, metrics, what is declared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakebroker import FakeBroker
from flask import Flask
from opentelemetry import trace
from orderapps import FakeCar, dealer_app, orders_app

from observability.testing import Captured, capture, undeclared
from services.dealer import signals as dealer_signals
from services.messages.consumer import MAX_DELIVERIES
from services.messages.envelope import Again, Delivery, Done
from services.orders import signals as orders_signals

ORDER = {"maker": "bentz", "model": "e-class", "discount": 500}


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def orders(broker: FakeBroker, tmp_path: Path) -> Iterator[Flask]:
    with orders_app(f"sqlite:///{tmp_path}/orders.sqlite3", FakeCar(), broker) as app:
        yield app


@pytest.fixture
def dealer(orders: Flask, broker: FakeBroker, tmp_path: Path) -> Iterator[Flask]:
    with dealer_app(f"sqlite:///{tmp_path}/dealer.sqlite3", broker) as app:
        yield app


def telemetry(app: Flask) -> Any:
    return app.extensions["observability"]


def send(app: Flask, name: str) -> None:
    app.extensions[name].messaging.relay.send()


@pytest.fixture
def confirmed(orders: Flask, dealer: Flask, broker: FakeBroker) -> tuple[Captured, Captured]:
    """What an order that is confirmed leaves in `orders` and in `dealer`."""
    with capture(telemetry(orders)) as at_orders, capture(telemetry(dealer)) as at_dealer:
        client = orders.test_client()
        where = client.post("/orders", json=ORDER).headers["Location"]
        send(orders, "orders")
        broker.deliver("orders.requests")
        send(dealer, "dealer")
        broker.deliver("orders.answers")
        assert (
            client.get(where, headers={"traceparent": f"00-{'e' * 32}-{'e' * 16}-00"}).json["state"]
            == "confirmed"
        )
    return at_orders, at_dealer


def named(got: Captured, *kinds: str) -> dict[str, Any]:
    return {span.name: span for span in got.spans if span.name.split()[0] in kinds}


def test_one_trace_leads_from_the_click_to_the_confirmation(confirmed: tuple[Captured, Captured]) -> None:
    spans = {
        **named(confirmed[0], "POST", "create", "send", "process"),
        **named(confirmed[1], "create", "send", "process"),
    }
    assert len({span.context.trace_id for span in spans.values()}) == 1

    def parent(name: str) -> str:
        (found,) = (
            each.name for each in spans.values() if each.context.span_id == spans[name].parent.span_id
        )
        return str(found)

    assert parent("create orders.requests") == "POST /orders"
    assert parent("send orders.requests") == "create orders.requests"
    assert parent("process orders.requests") == "create orders.requests"
    assert parent("create orders.answers") == "process orders.requests"
    assert parent("process orders.answers") == "create orders.answers"


def test_spans_of_messages_follow_the_conventions(confirmed: tuple[Captured, Captured]) -> None:
    spans = {**named(confirmed[0], "create", "send"), **named(confirmed[1], "process")}
    kinds = {span.attributes["messaging.operation.type"]: span.kind.name for span in spans.values()}
    assert kinds == {"create": "PRODUCER", "send": "CLIENT", "process": "CONSUMER"}
    for span in spans.values():
        assert span.attributes["messaging.system"] == "nats"
        assert span.attributes["messaging.destination.name"] == "orders.requests"
        assert span.attributes["messaging.message.id"].endswith(".confirm.1")
    processed = spans["process orders.requests"]
    assert processed.attributes["messaging.consumer.group.name"] == "dealer"
    assert processed.links == (), "a first delivery needs no link beside its parent"


def test_what_an_order_does_is_counted(confirmed: tuple[Captured, Captured]) -> None:
    at_orders, at_dealer = confirmed
    queue = {"messaging_destination_name": "orders.requests"}
    sent = {**queue, "messaging_operation_name": "send", "error_type": ""}
    assert at_orders.sample("messaging_client_sent_messages_total", **sent) == 1
    assert at_orders.sample("messaging_client_operation_duration_seconds_count", **sent) == 1
    assert at_dealer.sample("messaging_client_consumed_messages_total", **queue) == 1
    assert at_dealer.sample("messaging_process_duration_seconds_count", **queue, error_type="") == 1
    assert at_orders.sample("orders_decided_total", outcome="confirmed") == 1
    assert at_orders.sample("orders_decision_duration_seconds_count", outcome="confirmed") == 1


def test_each_message_is_logged_by_its_id_in_the_trace_when_it_is_sent_and_when_it_is_processed(
    confirmed: tuple[Captured, Captured],
) -> None:
    at_orders, at_dealer = confirmed
    order = at_orders.span("create orders.requests").attributes["messaging.message.conversation_id"]
    found = {}
    for got in confirmed:
        for line in got.lines():
            if name := line.get("extra", {}).get("messaging.operation.name"):
                found[name, line["extra"]["messaging.destination.name"]] = line
    request, answer = f"{order}.confirm.1", f"{order}.confirm.1.answer"
    assert {what: line["extra"]["messaging.message.id"] for what, line in found.items()} == {
        ("send", "orders.requests"): request,
        ("process", "orders.requests"): request,
        ("send", "orders.answers"): answer,
        ("process", "orders.answers"): answer,
    }
    assert {line["extra"]["messaging.message.conversation_id"] for line in found.values()} == {order}
    assert {line["trace_id"] for line in found.values()} == {
        f"{at_dealer.span('process orders.requests').context.trace_id:032x}"
    }


def test_who_asks_also_says_what_waits_for_who_answers(orders: Flask, broker: FakeBroker) -> None:
    orders.extensions["orders"].watch()
    with capture(telemetry(orders)) as got:
        orders.test_client().post("/orders", json=ORDER)
        send(orders, "orders")
        orders.extensions["orders"].messaging.look()
    asked = {"messaging_destination_name": "orders.requests", "messaging_consumer_group_name": "dealer"}
    assert got.value("messaging_queue_messages", **asked) == 1
    assert got.value("messaging_stream_used_ratio", stream="orders") == 0.01


def test_what_the_services_emit_is_declared(confirmed: tuple[Captured, Captured]) -> None:
    at_orders, at_dealer = confirmed
    assert undeclared(at_orders, orders_signals.SIGNALS, dealer_signals.SIGNALS) == []
    assert undeclared(at_dealer, dealer_signals.SIGNALS, orders_signals.SIGNALS) == []


def test_a_second_delivery_is_linked_counted_and_changes_nothing(
    orders: Flask, dealer: Flask, broker: FakeBroker
) -> None:
    orders.test_client().post("/orders", json=ORDER)
    send(orders, "orders")
    broker.queues["orders.requests"] *= 2
    with capture(telemetry(dealer)) as got:
        broker.deliver("orders.requests")
        broker.deliver("orders.requests", count=2)
        send(dealer, "dealer")
    first, second = (span for span in got.spans if span.name == "process orders.requests")
    assert [link.context.span_id for link in second.links] == [second.parent.span_id]
    assert first.links == ()
    assert got.sample("messaging_redelivered_messages_total") == 1
    assert len(broker.queues["orders.answers"]) == 1


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b'{"type": "dance"}', b'{"type": "confirm", "price": "much"}', b"\xff"]
)
def test_a_message_that_nobody_can_read_is_a_dead_letter_at_once(
    dealer: Flask, broker: FakeBroker, data: bytes
) -> None:
    broker.queues["orders.requests"] = [Delivery("bad", "orders.requests", data, {})]
    with capture(telemetry(dealer)) as got:
        assert isinstance(broker.deliver("orders.requests"), Done)
    (letter,) = broker.queues["dead.orders.requests"]
    assert (letter.id, "Dashcam-Reason" in letter.headers) == ("bad", True)
    assert got.sample("messaging_dead_letters_total", reason="unreadable") == 1
    assert got.span("process orders.requests").status.status_code is trace.StatusCode.ERROR
    (line,) = got.lines(severity="ERROR")
    assert line["extra"]["messaging.message.id"] == "bad"


def test_a_message_that_keeps_failing_is_tried_a_bounded_number_of_times(
    dealer: Flask, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("services.dealer.store.Store.answer", fail)
    broker.queues["orders.requests"] = [Delivery("one", "orders.requests", b'{"type": "withdraw"}', {})]
    with capture(telemetry(dealer)) as got:
        verdicts = [broker.deliver("orders.requests", count) for count in range(1, MAX_DELIVERIES + 1)]
    pauses = [verdict.delay for verdict in verdicts if isinstance(verdict, Again)]
    assert len(pauses) == MAX_DELIVERIES - 1
    assert pauses == sorted(pauses), "each pause is longer than the one before"
    assert isinstance(verdicts[-1], Done)
    assert got.sample("messaging_dead_letters_total", reason="tried too often") == 1
    assert [letter.id for letter in broker.queues["dead.orders.requests"]] == ["one"]


def test_a_message_that_ended_its_consumer_each_time_is_not_tried_for_ever(
    dealer: Flask, broker: FakeBroker
) -> None:
    broker.queues["orders.requests"] = [Delivery("one", "orders.requests", b'{"type": "withdraw"}', {})]
    assert isinstance(broker.deliver("orders.requests", MAX_DELIVERIES + 1), Done)
    assert dealer.extensions["dealer"].store.find("") is None, "it was not processed"


def test_a_dead_letter_that_cannot_be_stored_stays_in_its_queue(dealer: Flask, broker: FakeBroker) -> None:
    broker.queues["orders.requests"] = [Delivery("bad", "orders.requests", b"{", {})]
    broker.away = True
    assert isinstance(broker.deliver("orders.requests"), Again)
    assert len(broker.queues["orders.requests"]) == 1


def test_the_time_of_a_message_counts_also_where_giving_it_up_fails(
    dealer: Flask, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no such subject")

    monkeypatch.setattr(broker, "publish", fail)
    broker.queues["orders.requests"] = [Delivery("bad", "orders.requests", b"{", {})]
    with capture(telemetry(dealer)) as got, pytest.raises(ValueError, match="subject"):
        broker.deliver("orders.requests")
    assert got.sample("messaging_process_duration_seconds_count", error_type="ValueError") == 1
    span = got.span("process orders.requests")
    assert span.attributes["error.type"] == "ValueError"
    assert [event.attributes["exception.type"].rpartition(".")[2] for event in span.events] == [
        "Poison",
        "ValueError",
    ]


def test_a_broker_that_does_not_confirm_is_seen_and_loses_nothing(orders: Flask, broker: FakeBroker) -> None:
    broker.away = True
    with capture(telemetry(orders)) as got:
        orders.test_client().post("/orders", json=ORDER)
        with pytest.raises(Exception, match="away"):
            send(orders, "orders")
        with pytest.raises(Exception, match="away"):
            orders.extensions["orders"].messaging.look()
    assert got.sample("messaging_client_sent_messages_total", error_type="BrokerAway") == 1
    assert got.sample("dashcam_dependency_up", dependency="broker") == 0
    assert got.value("messaging_outbox_messages") == 1
    assert got.value("orders_undecided", step="confirming") == 1


def test_a_queue_is_not_consumed_while_the_database_is_away(
    dealer: Flask, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.ready["orders.requests"]()

    def check(_: Any) -> None:
        raise RuntimeError("the database does not answer")

    monkeypatch.setattr("services.storage.database.Database.check", check)
    with pytest.raises(RuntimeError):
        broker.ready["orders.requests"]()


def test_neither_service_is_unready_for_want_of_the_broker(
    orders: Flask, dealer: Flask, broker: FakeBroker
) -> None:
    broker.away = True
    for app in (orders, dealer):
        assert set(telemetry(app).readiness.outcomes()) == {"database"}
        assert telemetry(app).readiness.outcomes()["database"].ok
