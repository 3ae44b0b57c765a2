"""Each provider keeps what services/contracts says that its consumers expect: asked for real, over HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import carapps
import pytest
from fakebroker import FakeBroker
from flask import Flask
from orderapps import FakeCar, orders_app
from pact import Verifier
from serviceapps import service_app
from werkzeug.serving import make_server

from dashcam.registry.catalogue import load
from services.dealer import catalogue as dealer
from services.dealer.answers import answer_message
from services.messages.envelope import Message
from services.orders import catalogue as orders
from services.orders.messages import message_of

FOLDER = Path(__file__).parents[2] / "services" / "contracts"
CONTRACTS = sorted(FOLDER.glob("*.json"))
LOOPBACK = "127.0.0.1"
TRACE = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
RULES = orders.Rules()


def _pair(path: Path) -> tuple[str, str]:
    consumer, _, provider = path.stem.partition("-")
    return consumer, provider


HTTP = {("web", "car"), ("web", "orders"), ("orders", "car"), ("car", "minus")}
OVER_HTTP = [path for path in CONTRACTS if _pair(path) in HTTP]
BY_MESSAGE = [path for path in CONTRACTS if path not in OVER_HTTP]


@contextmanager
def served(app: Flask) -> Iterator[str]:
    server = make_server(LOOPBACK, 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def provider_app(name: str, tmp_path: Path) -> Iterator[Flask]:
    if name == "orders":
        with orders_app(f"sqlite:///{tmp_path}/orders.sqlite3", FakeCar(), FakeBroker()) as app:
            sagas = app.extensions["orders"].sagas
            sagas.store.place(orders.placed("order-1", "bentz", "e-class", 500, time.time()), None, TRACE)
            sagas.advance("order-1")
            yield app
        return
    if name != "car":
        with service_app(name) as app:
            yield app
        return
    with carapps.car_app(f"sqlite:///{tmp_path}/car.sqlite3", minus=carapps.FakeMinus()) as app:
        yield app


def _asked() -> dict[str, Message]:
    """What `orders` sends: a request to confirm, and a withdrawal after the deadline."""
    order = orders.reserved(orders.placed("1", "bentz", "e-class", 500, now=0), now=1).order
    confirm = orders.priced(order, 61500, "EUR", RULES, now=2)
    withdraw = orders.woken(confirm.order, RULES, now=2 + RULES.deadline)
    return {each.type: message_of(each) for each in (*confirm.requests, *withdraw.requests)}


def _said() -> dict[str, Message]:
    """What `dealer` sends: its answer to either, and to a price that is too high."""
    asked = _asked()
    limits = {"granted": ("confirm", 100_000), "refused": ("confirm", 1), "withdrawn": ("withdraw", 1)}
    return {
        state: answer_message(asked[kind], dealer.decide(asked[kind].body, None, limit))
        for state, (kind, limit) in limits.items()
    }


def _as_pact_has_it(message: Message) -> dict[str, Any]:
    body = json.dumps(dict(message.body)).encode()
    return {"contents": body, "metadata": None, "content_type": "application/json"}


def verify(path: Path, provider: Verifier) -> None:
    provider.add_source(path).verify()


@pytest.mark.parametrize("path", OVER_HTTP, ids=lambda path: path.stem)
def test_a_service_answers_as_its_consumer_expects(path: Path, tmp_path: Path) -> None:
    _, provider = _pair(path)
    with provider_app(provider, tmp_path) as app, served(app) as url:
        # The states need no handler: the example cars are what each of them speaks of.
        verify(path, Verifier(provider, LOOPBACK).add_transport(url=url))


# Pact does not close the socket by which it asks for messages.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("path", BY_MESSAGE, ids=lambda path: path.stem)
def test_a_service_says_what_its_consumer_expects(path: Path) -> None:
    _, provider = _pair(path)
    messages = {"orders": _asked, "dealer": _said}[provider]()
    told = {name: _as_pact_has_it(each) for name, each in messages.items()}
    verify(path, Verifier(provider).message_handler(told))  # type: ignore[arg-type]


def test_every_call_between_services_has_a_contract() -> None:
    """By the catalogue. What goes by message has one in each direction that somebody listens to."""
    catalogue = load()
    calls = {(one.name, other.name) for one in catalogue.services for other in catalogue.called_by(one.name)}
    assert calls <= set(map(_pair, CONTRACTS))
