"""`/faults`: switching by the form of the page and by nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import recorded
from flask.testing import FlaskClient
from unit.console.conftest import Markup
from werkzeug.test import TestResponse

from dashcam.console import ConsoleSettings, create_app
from dashcam.console.pages.faults import COOKIE
from dashcam.sources.switches import Switches, SwitchSettings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "faults.json"


@pytest.fixture
def page(file: Path) -> FlaskClient:
    return create_app(ConsoleSettings(), recorded.sources(), SwitchSettings(str(file))).test_client()


def on(file: Path) -> set[str]:
    return {name for name, flag in Switches(file).all().items() if flag.enabled}


def send(page: FlaskClient, headers: dict[str, str] | None = None, **fields: Any) -> TestResponse:
    """The form of the page, as a browser sends it; `fields` replace what it holds."""
    token = re.search(r'name="token" value="([^"]+)"', page.get("/faults").text)
    assert token
    return page.post("/faults", data={"token": token[1], **fields}, headers=headers or {})


def test_a_fault_is_switched_on_and_off_by_the_form(page: FlaskClient, file: Path) -> None:
    answer = send(page, name="car-memory-leak", to="on")
    assert (answer.status_code, answer.location) == (303, "/faults")
    assert on(file) == {"car-memory-leak"}
    assert "Switch off car-memory-leak" in page.get("/faults").text

    send(page, name="car-memory-leak", to="off")
    assert on(file) == set()


def test_all_faults_are_switched_off_at_once(page: FlaskClient, file: Path) -> None:
    send(page, name="car-memory-leak", to="on")
    send(page, name="car-log-storm", to="on")
    assert send(page, to="off").status_code == 303
    assert on(file) == set()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_form_that_another_page_sends_switches_nothing(
    page: FlaskClient, file: Path, headers: dict[str, str]
) -> None:
    assert send(page, headers, name="car-memory-leak", to="on").status_code == 403
    assert not file.exists()


def test_a_form_of_the_page_says_where_it_comes_from(page: FlaskClient, file: Path) -> None:
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert send(page, headers, name="car-memory-leak", to="on").status_code == 303
    assert on(file) == {"car-memory-leak"}


@pytest.mark.parametrize("token", ["", "guessed", "\u00e4"])
def test_a_form_without_the_pages_token_switches_nothing(page: FlaskClient, file: Path, token: str) -> None:
    assert send(page, token=token, name="car-memory-leak", to="on").status_code == 403
    assert not file.exists()


def test_a_form_without_the_cookie_switches_nothing(page: FlaskClient, file: Path) -> None:
    answer = page.post("/faults", data={"token": "", "name": "car-memory-leak", "to": "on"})
    assert answer.status_code == 403
    assert not file.exists()


def test_under_a_name_that_is_not_this_machines_nothing_is_switched(file: Path) -> None:
    settings = ConsoleSettings(allowed_hosts=("rebound.example",))
    page = create_app(settings, recorded.sources(), SwitchSettings(str(file))).test_client()
    there = {"base_url": "http://rebound.example:16686"}
    token = re.search(r'name="token" value="([^"]+)"', page.get("/faults", **there).text)
    assert token
    data = {"token": token[1], "name": "car-memory-leak", "to": "on"}
    assert page.post("/faults", data=data, **there).status_code == 403
    assert not file.exists()


def test_the_cookie_is_kept_from_scripts_and_other_sites(page: FlaskClient) -> None:
    cookie = page.get("/faults").headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/faults"} <= set(cookie.split("; "))


def test_an_unknown_fault_or_state_is_refused(page: FlaskClient, file: Path) -> None:
    assert send(page, name="car-memory-laek", to="on").status_code == 404
    assert send(page, name="car-memory-leak", to="sideways").status_code == 400
    assert send(page, to="on").status_code == 400
    assert not file.exists()


def test_a_broken_file_is_told_and_kept(page: FlaskClient, file: Path) -> None:
    file.write_text("{")
    answer = page.get("/faults")
    assert answer.status_code == 500
    assert "not a file of flags" in answer.text
    assert file.read_text() == "{"


def test_where_no_file_is_set_nothing_can_be_switched_and_no_page_links_there() -> None:
    closed = create_app(ConsoleSettings(), recorded.sources(), SwitchSettings(None)).test_client()
    assert closed.get("/faults").status_code == 404
    assert closed.post("/faults", data={"name": "car-memory-leak", "to": "on"}).status_code == 403
    assert "/faults" not in closed.get("/diagnose").text


def test_the_page_holds_nothing_that_runs(page: FlaskClient) -> None:
    answer = page.get("/faults")
    assert Markup(answer.text).complaints() == []
    assert "/faults" in page.get("/diagnose").text
