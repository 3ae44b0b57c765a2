"""`orders` over HTTP, on both databases: what it takes, what it answers, and what it keeps."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fakebroker import FakeBroker
from flask import Flask
from flask.testing import FlaskClient
from orderapps import FakeCar, orders_app

from services.orders.catalogue import Away, Refused

ORDER = {"maker": "bentz", "model": "e-class", "discount": 500}


@pytest.fixture
def fake_car() -> FakeCar:
    return FakeCar()


@pytest.fixture
def app(database_url: str, fake_car: FakeCar) -> Iterator[Flask]:
    url = database_url.replace("postgresql://", "postgresql+psycopg://")
    with orders_app(url, fake_car, FakeBroker()) as app:
        yield app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_an_order_is_placed_and_waits_for_the_dealer(client: FlaskClient, fake_car: FakeCar) -> None:
    answer = client.post("/orders", json=ORDER)
    order = answer.get_json()
    assert (answer.status_code, order["state"], order["price"]) == (202, "confirming", 61_500)
    assert fake_car.asked == ["reserve", "price"]
    read = client.get(answer.headers["Location"])
    assert read.get_json() == order
    assert (
        client.get(answer.headers["Location"], headers={"If-None-Match": read.headers["ETag"]}).status_code
        == 304
    )


def test_a_request_that_is_repeated_with_its_key_is_the_same_order(client: FlaskClient) -> None:
    first, second = (
        client.post("/orders", json=ORDER, headers={"Idempotency-Key": "click"}) for _ in range(2)
    )
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.get_json()["id"] == second.get_json()["id"]
    other = client.post("/orders", json={**ORDER, "discount": 1}, headers={"Idempotency-Key": "click"})
    assert other.status_code == 409


def test_requests_with_one_key_at_the_same_time_are_one_order(app: Flask) -> None:
    def place(key: str) -> str:
        answer = app.test_client().post("/orders", json=ORDER, headers={"Idempotency-Key": key})
        return str(answer.get_json()["id"]) if answer.status_code in {200, 202} else answer.text

    for _ in range(5):
        with ThreadPoolExecutor(4) as clicks:
            assert len({*clicks.map(place, [uuid.uuid4().hex] * 4)}) == 1


def test_an_order_that_car_refuses_is_taken_back_at_once(client: FlaskClient, fake_car: FakeCar) -> None:
    class Gone(FakeCar):
        def reserve(self, *_: Any) -> None:
            raise Refused("There is no car bentz/e-class.")

    client.application.extensions["orders"].sagas.__dict__["car"] = Gone()
    order = client.post("/orders", json=ORDER).get_json()
    assert (order["state"], order["reason"]) == ("cancelled", "There is no car bentz/e-class.")
    assert order["decided"] is not None


def test_an_order_is_taken_also_while_car_is_away(client: FlaskClient, fake_car: FakeCar) -> None:
    fake_car.error = Away("car does not answer")
    answer = client.post("/orders", json=ORDER)
    assert (answer.status_code, answer.get_json()["state"]) == (202, "reserving")
    fake_car.error = None
    sagas = client.application.extensions["orders"].sagas
    sagas.wake(answer.get_json()["id"])
    assert client.get(answer.headers["Location"]).get_json()["state"] == "confirming"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "maker"),
        ({**ORDER, "maker": "No Slug"}, "maker"),
        ({**ORDER, "model": 5}, "model"),
        ({**ORDER, "discount": -1}, "discount"),
        ({**ORDER, "discount": True}, "discount"),
        ({**ORDER, "colour": "red"}, "colour"),
        ([], "body"),
    ],
)
def test_what_cannot_be_ordered_is_refused_by_name(client: FlaskClient, body: Any, field: str) -> None:
    refused = client.post("/orders", json=body)
    assert refused.status_code == 422
    assert field in {error["field"] for error in refused.get_json()["errors"]}


def test_what_is_no_request_is_refused(client: FlaskClient) -> None:
    assert client.post("/orders", data="x").status_code == 415
    assert client.post("/orders", data="{", content_type="application/json").status_code == 400
    assert client.post("/orders?x=1", json=ORDER).status_code == 400
    assert client.post("/orders", json=ORDER, headers={"Idempotency-Key": "a b"}).status_code == 400
    assert client.get("/orders/no-such").status_code == 404
    assert client.get("/orders").status_code == 405


def test_the_requests_of_the_outbox_are_stored_with_the_order_and_sent_once(app: Flask) -> None:
    broker = FakeBroker(away=True)
    parts = app.extensions["orders"]
    parts.messaging._broker = broker
    order = app.test_client().post("/orders", json=ORDER).get_json()["id"]
    with pytest.raises(Exception, match="away"):
        parts.messaging.relay.send()
    broker.away = False
    assert (parts.messaging.relay.send(), parts.messaging.relay.send()) == (1, 0)
    (sent,) = broker.queues["orders.requests"]
    assert sent.id == f"{order}.confirm.1"


def test_an_order_that_is_due_is_given_to_one_at_a_time(app: Flask, client: FlaskClient) -> None:
    orders = {client.post("/orders", json=ORDER).get_json()["id"] for _ in range(3)}
    store = app.extensions["orders"].sagas.store
    later = time.time() + 15
    with ThreadPoolExecutor(3) as pool:
        given = list(pool.map(lambda _: store.due(later, 10.0), range(3)))
    given.append(store.due(later, 10.0))
    assert sorted(order for each in given for order in each) == sorted(orders)
    assert [(each.state, each.count) for each in store.waiting()] == [("confirming", 3)]
