"""`/parts`: the programs of a stack, switched by the form of the page and by nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import recorded
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from dashcam.console import ConsoleSettings, create_app, register
from dashcam.console.parts import CannotSwitch
from dashcam.sources.switches import SwitchSettings


def part(name: str, state: str = "ready", reason: str = "") -> Any:
    return SimpleNamespace(
        name=name,
        ready=state == "ready",
        state=state,
        reason=reason,
        since=1.0,
        restarts=2,
        address=f"http://127.0.0.1/{name}",
        about=f"about {name}",
    )


class Stack:
    """Parts that note what is done to them."""

    own = "console"

    def __init__(self) -> None:
        self.did: list[str] = []
        self.refuses = ""

    def all(self) -> Sequence[Any]:
        return [part("car"), part("price", "stopped", "ended with status 0"), part("console")]

    def stop(self, name: str) -> None:
        self._do("stop", name)

    def start(self, name: str) -> None:
        self._do("start", name)

    def _do(self, what: str, name: str) -> None:
        if self.refuses:
            raise CannotSwitch(self.refuses)
        self.did.append(f"{what} {name}")


@pytest.fixture
def stack() -> Stack:
    return Stack()


@pytest.fixture
def page(stack: Stack) -> FlaskClient:
    app = Flask("console", static_folder=None)
    register(app, ConsoleSettings(), recorded.sources(), SwitchSettings(None), stack)
    return app.test_client()


def send(page: FlaskClient, headers: dict[str, str] | None = None, **fields: Any) -> TestResponse:
    """The form of the page, as a browser sends it; `fields` replace what it holds."""
    token = re.search(r'name="token" value="([^"]+)"', page.get("/parts").text)
    assert token
    return page.post("/parts", data={"token": token[1], **fields}, headers=headers or {})


def test_the_page_offers_what_can_be_done_to_each_part(page: FlaskClient, markup: Any) -> None:
    text = page.get("/parts").text
    offered = re.findall(r'<button aria-label="([^"]+)">', text)
    assert offered == ["Restart car", "Stop car", "Start price"]
    assert "ended with status 0" in text
    assert "this page" in text
    assert markup(text).complaints() == []


@pytest.mark.parametrize(
    ("name", "to", "did"),
    [
        ("car", "stop", ["stop car"]),
        ("price", "start", ["start price"]),
        ("car", "restart", ["stop car", "start car"]),
    ],
)
def test_a_part_is_switched_by_the_form(
    page: FlaskClient, stack: Stack, name: str, to: str, did: list[str]
) -> None:
    answer = send(page, name=name, to=to)
    assert (answer.status_code, answer.location) == (303, "/parts")
    assert stack.did == did


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
    ],
)
def test_a_form_that_another_page_sends_switches_nothing(
    page: FlaskClient, stack: Stack, headers: dict[str, str]
) -> None:
    assert send(page, headers, name="car", to="stop").status_code == 403
    assert page.post("/parts", data={"name": "car", "to": "stop"}).status_code == 403
    assert stack.did == []


def test_the_console_does_not_end_itself(page: FlaskClient, stack: Stack) -> None:
    answer = send(page, name="console", to="stop")
    assert answer.status_code == 400
    assert "dashcam stop console" in answer.text
    assert stack.did == []


def test_what_cannot_be_done_is_said(page: FlaskClient, stack: Stack) -> None:
    assert send(page, name="car", to="burn").status_code == 400
    stack.refuses = "there is no part 'cat'"
    answer = send(page, name="cat", to="stop")
    assert answer.status_code == 409
    assert "there is no part" in answer.text


def test_a_console_that_started_nothing_has_no_such_page() -> None:
    client = create_app(ConsoleSettings(), recorded.sources()).test_client()
    assert client.get("/parts").status_code == 404
    assert client.post("/parts", data={"name": "car", "to": "stop"}).status_code == 403
    assert "/parts" not in client.get("/faults").text
