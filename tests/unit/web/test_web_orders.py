"""A car is ordered from its page, once however often the form is sent; an order is shown by its steps."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from fakecar import FakeCar
from fakeorders import TRACE, FakeOrders, order
from flask import Flask
from flask.testing import FlaskClient
from webapps import web_app

from services.web.asking import Away, Exists, Misbehaved, Rejected, Slow
from services.web.errors import ORDERS_ADVICE
from services.web.orders import OrdersClient

FORM = "/cars/bentz/e-class/order"


@pytest.fixture
def orders() -> FakeOrders:
    return FakeOrders()


@pytest.fixture
def app(fake: FakeCar, orders: FakeOrders) -> Iterator[Flask]:
    with web_app(fake, orders) as app:
        yield app


def opened(client: FlaskClient, **changes: str) -> dict[str, str]:
    page = client.get(FORM).text
    return dict(re.findall(r'<input [^>]*name="(\w+)"[^>]* value="([^"]*)"', page)) | changes


def test_the_page_of_a_car_leads_to_its_order_also_at_the_price_of_a_quote(client: FlaskClient) -> None:
    assert f'href="{FORM}"' in client.get("/cars/bentz/e-class").text
    assert f'href="{FORM}?discount=500"' in client.get("/cars/bentz/e-class?discount=500").text
    assert 'value="500"' in client.get(f"{FORM}?discount=500").text
    assert 'name="discount" required type="text" value="0"' in client.get(FORM).text


def test_a_form_that_is_sent_twice_is_one_order(client: FlaskClient, orders: FakeOrders) -> None:
    form = opened(client, discount="500")
    first, second = (client.post(FORM, data=form) for _ in range(2))
    assert (first.status_code, first.location) == (303, f"/orders/{form['key']}")
    assert second.location == first.location
    assert orders.placed == {form["key"]: ("bentz", "e-class", 500)}
    changed = client.post(FORM, data=form | {"discount": "600"})
    assert changed.status_code == 409
    assert form["key"] not in changed.text, "the next one has a key of its own"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"discount": "much"}, "discount"),
        ({"discount": "-1"}, "discount"),
        ({"discount": "777"}, "seven is enough"),
        ({"key": "no key"}, "Open the form again"),
    ],
)
def test_what_cannot_be_ordered_is_said_beside_what_was_typed(
    client: FlaskClient, orders: FakeOrders, sent: dict[str, str], said: str
) -> None:
    answer = client.post(FORM, data=opened(client) | sent)
    assert answer.status_code == 422
    assert said in answer.text
    assert "The car was not ordered" in answer.text
    assert orders.placed == {}


@pytest.mark.parametrize("error", [Away("away"), Slow("slow"), Misbehaved("nonsense")])
def test_while_orders_are_away_the_form_keeps_what_was_typed_and_the_catalogue_works(
    client: FlaskClient, orders: FakeOrders, error: Any
) -> None:
    form = opened(client, discount="500")
    orders.failure = error
    answer = client.post(FORM, data=form)
    assert answer.status_code == error.status
    for text in (ORDERS_ADVICE[error.status].title, f'value="{form["key"]}"', 'value="500"'):
        assert text in answer.text
    assert client.get("/cars/bentz/e-class").status_code == 200
    page = client.get("/orders/one")
    assert (page.status_code, ORDERS_ADVICE[error.status].happened in page.text) == (error.status, True)
    problem = client.get("/orders/one", headers={"Accept": "application/problem+json"})
    assert json.loads(problem.text)["title"] == ORDERS_ADVICE[error.status].title


def test_a_form_without_its_token_orders_nothing_and_comes_back(
    client: FlaskClient, orders: FakeOrders
) -> None:
    answer = client.post(FORM, data={"discount": "500", "key": "k" * 16})
    assert (answer.status_code, orders.placed) == (400, {})
    assert 'value="500"' in answer.text
    assert f'value="{"k" * 16}"' in answer.text


@pytest.mark.parametrize(
    "page", [FORM, "/cars/bentz/e-class/edition", "/cars/bentz/e-class/deletion", "/new-car"]
)
def test_who_asks_for_the_head_of_a_form_gets_it_and_changes_nothing(
    client: FlaskClient, fake: FakeCar, orders: FakeOrders, page: str
) -> None:
    etag = re.findall(r'name="etag" value="([^"]*)"', client.get("/cars/bentz/e-class/deletion").text)[0]
    sent = {"key": "k" * 16, "discount": "1", "etag": etag.replace("&#34;", '"')}
    before = dict(fake.shelf)
    assert client.head(page, data=sent).status_code == 200
    assert (orders.placed, fake.shelf) == ({}, before)


@pytest.mark.parametrize(
    ("shown", "words", "looks_again"),
    [
        (order("reserving"), ["Reserving the car"], True),
        (order("confirming", "pricing"), ["Waiting for the dealer", "61,500"], True),
        (order("confirmed", "pricing", "confirming"), ["The car is yours", "3.00 s"], False),
        (
            order("withdrawing", "pricing", "confirming", reason="not decided within 20 s"),
            ["not decided within 20 s.", "is being taken back"],
            True,
        ),
        (
            order("cancelled", "cancelling", reason="<b>sold</b>"),
            ["&lt;b&gt;sold&lt;/b&gt;", "Cancelling the reservation", "nothing is owed"],
            False,
        ),
        (order("confirmed", "a-new-state"), ["a-new-state"], False),
        (order("cancelled", reason={"code": 7}, placed="2026-01-02T03:04:00"), ["code", "1.00 s"], False),  # type: ignore[arg-type]
    ],
)
def test_an_order_is_shown_with_its_steps_and_its_trace(
    client: FlaskClient, orders: FakeOrders, shown: Any, words: list[str], looks_again: bool
) -> None:
    orders.kept["one"] = shown
    answer = client.get("/orders/one")
    assert answer.status_code == 200
    for text in [*words, f'href="http://console.test/trace/{TRACE}"']:
        assert text in answer.text
    assert ('http-equiv="refresh"' in answer.text) == looks_again
    assert answer.text.count("<li class=") == len(shown.steps) + 1


def test_an_order_that_is_not_there_is_said_to_be_none(client: FlaskClient) -> None:
    answer = client.get("/orders/none")
    assert (answer.status_code, ORDERS_ADVICE[404].title in answer.text) == (404, True)


# -- the client ------------------------------------------------------------------------------------


class Server(HTTPServer):
    """Answers each request with the next of `answers`, and keeps what it was asked."""

    answers: list[tuple[int, Any]]
    asked: list[tuple[str, str, str | None]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.command, self.path, self.headers.get("Idempotency-Key")))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, document = self.server.answers.pop(0)
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.answers, server.asked = [], []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (202, {"id": 1}, Misbehaved),
        (200, [], Misbehaved),
        (409, {"detail": "taken"}, Exists),
        (422, {"errors": [{"field": "discount", "detail": "no"}]}, Rejected),
        (503, {"detail": "away"}, Away),
    ],
)
def test_what_orders_answer_is_told_by_its_kind(
    server: Server, status: int, document: Any, kind: type[Exception]
) -> None:
    client = OrdersClient(f"http://127.0.0.1:{server.server_port}")
    server.answers = [(status, document)]
    with pytest.raises(kind) as caught:
        client.place("bentz", "e-class", 500, "a-key-of-a-form")
    assert caught.value.service == "orders"  # type: ignore[attr-defined]
    assert server.asked == [("POST", "/orders", "a-key-of-a-form")]
