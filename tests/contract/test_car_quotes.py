"""Quotes: what `car` answers when `minus` works, is wrong, or is away."""

from __future__ import annotations

import carapps
import pytest
from flask import Flask
from flask.testing import FlaskClient

from observability.testing import capture, undeclared
from services.car.clients import Away, CircuitOpen, Wrong
from services.car.signals import SIGNALS

QUOTE = "/cars/bentz/e-class/quote"


def test_a_quote_is_the_price_less_the_discount(car: FlaskClient, fake_minus: carapps.FakeMinus) -> None:
    answer = car.get(f"{QUOTE}?discount=500")
    assert answer.status_code == 200
    assert answer.json == {
        "maker": "bentz",
        "model": "e-class",
        "price": 62000,
        "discount": 500,
        "total": 61500,
        "currency": "EUR",
    }
    assert fake_minus.asked == [(62000, 500)]


@pytest.mark.parametrize(("question", "total"), [("", 62000), ("?discount=0", 62000), ("?discount=62000", 0)])
def test_a_discount_may_be_nothing_or_everything(car: FlaskClient, question: str, total: int) -> None:
    assert car.get(QUOTE + question).json["total"] == total


@pytest.mark.parametrize("discount", ["-1", "", "five", "1.5", "1e3", "9" * 5000, "\u0665"])
def test_a_discount_that_is_no_amount_is_a_400(
    car: FlaskClient, fake_minus: carapps.FakeMinus, discount: str
) -> None:
    answer = car.get(QUOTE, query_string={"discount": discount})
    assert answer.status_code == 400
    assert answer.json["errors"][0]["field"] == "discount"
    assert fake_minus.asked == []


def test_a_discount_above_the_price_is_a_422_that_names_the_most(
    car: FlaskClient, fake_minus: carapps.FakeMinus
) -> None:
    answer = car.get(f"{QUOTE}?discount=62001")
    assert answer.status_code == 422
    assert answer.json["errors"] == [
        {"field": "discount", "value": 62001, "detail": "more than the price: give at most 62000"}
    ]
    assert fake_minus.asked == []


def test_a_quote_of_no_car_is_a_404(car: FlaskClient) -> None:
    assert car.get("/cars/bentz/none/quote?discount=1").status_code == 404


def test_without_minus_a_quote_is_a_503_and_everything_else_works(
    car: FlaskClient, fake_minus: carapps.FakeMinus
) -> None:
    fake_minus.error = Away("refused")
    answer = car.get(f"{QUOTE}?discount=500")
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert int(answer.headers["Retry-After"]) >= 1
    assert "minus" in answer.json["detail"]
    assert len(answer.json["trace_id"]) == 32
    assert car.get("/cars").status_code == 200
    assert car.put("/cars/bentz/e-class/options", json={"options": []}).status_code == 200


def test_an_open_circuit_says_when_to_come_back(car: FlaskClient, fake_minus: carapps.FakeMinus) -> None:
    fake_minus.error = CircuitOpen("kept failing")
    fake_minus.error.retry_after = 10
    assert car.get(QUOTE).headers["Retry-After"] == "10"


def test_a_wrong_answer_of_minus_is_a_502_that_keeps_its_words_to_itself(
    car: FlaskClient, fake_minus: carapps.FakeMinus
) -> None:
    fake_minus.error = Wrong("minus answered 500: b'secret'")
    answer = car.get(QUOTE)
    assert (answer.status_code, answer.content_type) == (502, "application/problem+json")
    assert "secret" not in answer.get_data(as_text=True)


def test_readiness_does_not_depend_on_minus(car_app: Flask, fake_minus: carapps.FakeMinus) -> None:
    fake_minus.error = Away("refused")
    telemetry = car_app.extensions["observability"]
    ready, report = telemetry.readiness.report()
    assert ready
    assert list(report["dependencies"]) == ["database"]


def test_quotes_are_counted_by_outcome(car_app: Flask, fake_minus: carapps.FakeMinus) -> None:
    car = car_app.test_client()
    with capture(car_app.extensions["observability"]) as got:
        for question in ("?discount=1", "?discount=2", "?discount=-1", "?discount=99999999"):
            car.get(QUOTE + question)
        fake_minus.error = Away("refused")
        car.get(QUOTE)
    counts = {
        outcome: got.sample("car_quotes_total", outcome=outcome)
        for outcome in ("ok", "rejected", "unavailable")
    }
    assert counts == {"ok": 2, "rejected": 2, "unavailable": 1}
    assert undeclared(got, SIGNALS) == []
    assert undeclared(got) == ["metric car_quotes is not declared"]
