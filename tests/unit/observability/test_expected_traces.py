"""Trace-based tests: what a request leaves, said as a tree and compared with what was captured."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from opentelemetry import trace

from observability import instrument
from observability.testing import assert_trace, capture, expected, settings

tracer = trace.get_tracer("shop")


@pytest.fixture
def request_in_steps() -> Callable[[], None]:
    """A request whose span has three others below it, two of them in a row and one below the second."""
    app = Flask("shop")
    telemetry = instrument(app, service="shop", settings=settings())

    @app.get("/buy")
    def buy() -> str:
        with tracer.start_as_current_span("reserve"):
            pass
        with (
            tracer.start_as_current_span("pay", attributes={"amount": 5}),
            tracer.start_as_current_span("book"),
        ):
            pass
        return "done"

    yield lambda: app.test_client().get("/buy").get_data()
    telemetry.shutdown()


RIGHT = expected("GET /buy", expected("reserve"), expected("pay", expected("book")), service="shop")


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (RIGHT, None),
        (expected("GET /buy", expected("pay", attributes={"amount": 5})), None),
        (expected("pay", expected("book")), None),
        (expected("GET /buy", attributes={"span.kind": "server"}), None),
        (expected("pay", attributes={"span.kind": "client"}), "span.kind is None, not 'client'"),
        (
            expected("GET /buy", expected("pay"), expected("reserve")),
            "'reserve' is not below 'GET /buy' in this place",
        ),
        (expected("GET /buy", expected("book")), "'book' is not below 'GET /buy'"),
        (expected("GET /buy", expected("pay"), expected("pay")), "'pay' is not below"),
        (expected("pay", attributes={"amount": 6}), "amount is 5, not 6"),
        (expected("GET /buy", service="another"), "'GET /buy' is not anywhere: shop GET /buy"),
        (expected("sell"), "'sell' is not anywhere"),
    ],
)
def test_a_trace_is_held_to_its_spans_their_order_and_attributes(
    request_in_steps: Callable[[], None], wanted: object, says: str | None
) -> None:
    with capture() as got:
        request_in_steps()
    if says is None:
        assert_trace(got, wanted)
        return
    with pytest.raises(AssertionError) as caught:
        assert_trace(got, wanted)
    assert says in str(caught.value)
    assert "shop: GET /buy\n    shop: reserve" in str(caught.value), "the tree that there is"
