"""What each consumer expects of whom it calls or hears, by its real client, is what services/contracts says.

`make contracts` (WRITE_CONTRACTS=1) writes the files; here they are made again and compared.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pact import Pact, match

from services.car.clients import Limits, Minus, Wrong
from services.dealer import catalogue as dealer
from services.messages.envelope import Delivery
from services.messages.reading import read
from services.orders import catalogue as orders
from services.orders.clients import CarClient as OrdersCar
from services.web import asking
from services.web import clients as web
from services.web.orders import OrdersClient

FOLDER = Path(__file__).parents[2] / "services" / "contracts"
LIMITS = Limits(timeout=5, deadline=5, attempts=1, failures=5, recovery=10)
CAR, QUOTE = "/cars/bentz/e-class", "/cars/bentz/e-class/quote"
THERE, NOT_THERE = "bentz e-class is in the catalogue", "bentz none is not in the catalogue"
DOCUMENT = {"maker": "bentz", "model": "e-class", "price": 62000, "currency": "EUR"}
SENT = {**DOCUMENT, "release_date": "2020-02-29"}
PROBLEM = {"detail": match.str("why")}


@pytest.fixture
def contract(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[Pact], None]:
    """Called with what was expected and met: it is the committed contract of this consumer and provider."""

    def kept(pact: Pact) -> None:
        pact.write_file(tmp_path)
        committed = FOLDER / f"{pact.consumer}-{pact.provider}.json"
        document = json.loads((tmp_path / committed.name).read_text(encoding="utf-8"))
        del document["metadata"]["pactRust"]  # the versions of the tool that wrote it
        text = json.dumps(document, indent=2, sort_keys=True) + "\n"
        if os.environ.get("WRITE_CONTRACTS"):
            committed.write_text(text, encoding="utf-8")
        assert committed.read_text(encoding="utf-8") == text, "what is expected has changed: make contracts"

    return kept


class Used:
    """A client: at the end of the block each of its calls has been made, none is without a contract."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._left = {name for name, each in vars(type(client)).items() if name[0] != "_" and callable(each)}

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert kind or not self._left, f"the contract says nothing of {sorted(self._left)}"

    def __getattr__(self, name: str) -> Any:
        self._left.discard(name)
        return getattr(self._client, name)


def test_web_reads_and_changes_cars(contract: Callable[[Pact], None]) -> None:
    pact = Pact("web", "car")
    car = match.like(DOCUMENT)
    (
        pact.upon_receiving("a page of the catalogue")
        .given(THERE)
        .with_request("GET", "/cars")
        .with_query_parameter("limit", "1")
        .will_respond_with(200)
        .with_body(
            {
                "cars": match.each_like(DOCUMENT),
                "total": match.int(7),
                "makers": match.each_like({"maker": "bentz", "count": 2}),
            }
        )
    )
    (
        pact.upon_receiving("one car")
        .given(THERE)
        .with_request("GET", CAR)
        .will_respond_with(200)
        .with_header("ETag", match.regex('"abc"', regex=r'"[^"]+"'))
        .with_body(car)
    )
    (
        pact.upon_receiving("a car that is not there")
        .given(NOT_THERE)
        .with_request("GET", "/cars/bentz/none")
        .will_respond_with(404)
        .with_body(PROBLEM, "application/problem+json")
    )
    (
        pact.upon_receiving("a quote")
        .given(THERE)
        .with_request("GET", QUOTE)
        .with_query_parameter("discount", "500")
        .will_respond_with(200)
        .with_body(match.like({"price": 62000, "discount": 500, "total": 61500, "currency": "EUR"}))
    )
    (
        pact.upon_receiving("a car of another version replaced")
        .given(THERE)
        .with_request("PUT", CAR)
        .with_header("If-Match", '"old"')
        .with_body(SENT, "application/json")
        .will_respond_with(412)
        .with_body(PROBLEM, "application/problem+json")
    )
    (
        pact.upon_receiving("a car of another version deleted")
        .given(THERE)
        .with_request("DELETE", CAR)
        .with_header("If-Match", '"old"')
        .will_respond_with(412)
        .with_body(PROBLEM, "application/problem+json")
    )
    (
        pact.upon_receiving("a new car that is there already")
        .given(THERE)
        .with_request("POST", "/cars")
        .with_body(SENT, "application/json")
        .will_respond_with(409)
        .with_body(PROBLEM, "application/problem+json")
    )
    (
        pact.upon_receiving("a new car")
        .given("acme one is not in the catalogue")
        .with_request("POST", "/cars")
        .with_body({**SENT, "maker": "acme", "model": "one"}, "application/json")
        .will_respond_with(201)
        .with_body(match.like({**SENT, "maker": "acme", "model": "one"}))
    )
    with pact.serve() as server, Used(web.CarClient(str(server.url))) as client:
        assert client.cars({"limit": "1"}).cars[0].maker == "bentz"
        assert client.car("bentz", "e-class").etag == '"abc"'
        with pytest.raises(asking.NotFound, match="why"):
            client.car("bentz", "none")
        assert client.quote("bentz", "e-class", 500).total == 61500
        with pytest.raises(asking.Changed):
            client.replace("bentz", "e-class", SENT, '"old"')
        with pytest.raises(asking.Changed):
            client.delete("bentz", "e-class", '"old"')
        with pytest.raises(asking.Exists, match="why"):
            client.create(SENT)
        assert client.create({**SENT, "maker": "acme", "model": "one"}).maker == "acme"
    contract(pact)


def test_web_places_and_shows_orders(contract: Callable[[Pact], None]) -> None:
    pact = Pact("web", "orders")
    at = "2026-01-02T03:04:05.000Z"
    order = {"maker": "bentz", "model": "e-class", "discount": 500, "price": 61500, "currency": "EUR"}
    order |= {"id": "order-1", "state": "confirming", "placed": at, "decided": None, "reason": None}
    order |= {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}
    steps = match.each_like({"state": match.str("pricing"), "at": match.str(at)})
    shown = {name: value if value is None else match.like(value) for name, value in order.items()}
    shown |= {"steps": steps}
    (
        pact.upon_receiving("an order")
        .given(THERE)
        .with_request("POST", "/orders")
        .with_header("Idempotency-Key", "a-click")
        .with_body({"maker": "bentz", "model": "e-class", "discount": 500}, "application/json")
        .will_respond_with(202)
        .with_body(shown)
    )
    (
        pact.upon_receiving("the order order-1")
        .given("order-1 is there")
        .with_request("GET", "/orders/order-1")
        .will_respond_with(200)
        .with_body(shown)
    )
    (
        pact.upon_receiving("an order that is not there")
        .given("order-none is not there")
        .with_request("GET", "/orders/order-none")
        .will_respond_with(404)
        .with_body(PROBLEM, "application/problem+json")
    )
    with pact.serve() as server, Used(OrdersClient(str(server.url))) as client:
        assert client.place("bentz", "e-class", 500, "a-click").price == 61500
        assert client.order("order-1").history[-1].text == "Asking for its price"
        with pytest.raises(asking.NotFound, match="why"):
            client.order("order-none")
    contract(pact)


def test_orders_reserves_prices_and_cancels(contract: Callable[[Pact], None]) -> None:
    pact = Pact("orders", "car")
    address = f"{CAR}/reservations"
    (
        pact.upon_receiving("a reservation")
        .given(THERE)
        .with_request("POST", address)
        .with_body({"id": "order-1"}, "application/json")
        .will_respond_with(201)
    )
    (
        pact.upon_receiving("a reservation of a car that is not there")
        .given(NOT_THERE)
        .with_request("POST", "/cars/bentz/none/reservations")
        .with_body({"id": "order-2"}, "application/json")
        .will_respond_with(404)
        .with_body(PROBLEM, "application/problem+json")
    )
    (
        pact.upon_receiving("the price")
        .given(THERE)
        .with_request("GET", QUOTE)
        .with_query_parameter("discount", "500")
        .will_respond_with(200)
        .with_body({"total": match.int(61500), "currency": match.str("EUR")})
    )
    (
        pact.upon_receiving("the end of a reservation, made or not")
        .given(THERE)
        .with_request("DELETE", f"{address}/order-1")
        .will_respond_with(204)
    )
    with pact.serve() as server, Used(OrdersCar(str(server.url), timeout=5)) as client:
        client.reserve("bentz", "e-class", "order-1")
        with pytest.raises(orders.Refused, match="why"):
            client.reserve("bentz", "none", "order-2")
        assert client.price("bentz", "e-class", 500) == (61500, "EUR")
        client.cancel("bentz", "e-class", "order-1")
    contract(pact)


def test_car_subtracts(contract: Callable[[Pact], None]) -> None:
    pact = Pact("car", "minus")
    for name, x, status, body in (
        ("a difference", "62000", 200, {"result": match.int(61500)}),
        ("a difference of what is no number", "five", 400, PROBLEM),
    ):
        (
            pact.upon_receiving(name)
            .with_request("GET", "/minus")
            .with_query_parameters({"x": x, "y": "500"})
            .will_respond_with(status)
            .with_body(body, "application/json" if status == 200 else "application/problem+json")
        )
    with pact.serve() as server, Used(Minus(str(server.url), LIMITS)) as client:
        assert client.difference(62000, 500) == 61500
        with pytest.raises(Wrong, match="400"):
            client.difference("five", 500)
        client.close()
    contract(pact)


def test_the_dealer_answers_what_orders_asks(contract: Callable[[Pact], None]) -> None:
    pact = Pact("dealer", "orders")
    pact.upon_receiving("confirm", "Async").with_body({"type": "confirm", "price": match.int(61500)})
    pact.upon_receiving("withdraw", "Async").with_body({"type": "withdraw"})
    said: list[str] = []
    pact.verify(lambda body, _: said.append(dealer.decide(_read(body), None, 100_000).state), "Async")
    assert sorted(said) == ["granted", "withdrawn"]
    contract(pact)


def test_orders_takes_in_what_the_dealer_says(contract: Callable[[Pact], None]) -> None:
    pact = Pact("orders", "dealer")
    for kind in ("granted", "refused", "withdrawn"):
        pact.upon_receiving(kind, "Async").with_body({"type": kind, "reason": match.str("why")})
    order = orders.reserved(orders.placed("1", "bentz", "e-class", 500, now=0), now=1).order
    asked = orders.priced(order, 61500, "EUR", orders.Rules(), now=2).order
    came_to: list[str] = []

    def handle(body: str | bytes | None, _: dict[str, object]) -> None:
        said = _read(body)
        came_to.append(orders.answered(asked, said["type"], said["reason"], now=3).order.state)

    pact.verify(handle, "Async")
    assert sorted(came_to) == ["cancelling", "cancelling", "confirmed"]
    contract(pact)


def _read(body: str | bytes | None) -> Any:
    data = body.encode() if isinstance(body, str) else body or b""
    return read(Delivery("1", "queue", data, {}), "1").body
