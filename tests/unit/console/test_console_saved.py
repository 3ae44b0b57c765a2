"""Saved searches and pinned traces: kept by the form of the page, shown when the store has them no more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import recorded
from flask.testing import FlaskClient
from recorded import TRACE, Away, Recorded
from werkzeug.test import TestResponse

from dashcam.console import ConsoleSettings, create_app
from dashcam.console.kept import MOST, Kept, Search


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def opened(folder: Path, answers: dict[str, Any] | None = None) -> FlaskClient:
    source = recorded.sources(jaeger=Recorded(recorded.jaeger_answers() if answers is None else answers))
    return create_app(ConsoleSettings(kept_dir=str(folder)), source).test_client()


def send(page: FlaskClient, headers: dict[str, str] | None = None, **fields: str) -> TestResponse:
    token = re.search(r'name="token" value="([^"]+)"', page.get(f"/saved?pin={TRACE}").text)
    assert token
    return page.post("/saved", data={"token": token[1], **fields}, headers=headers or {})


def test_a_search_is_saved_from_its_page_and_opened_again(folder: Path, markup: Any) -> None:
    page = opened(folder)
    results = page.get("/search?service=car&minDuration=1ms").text
    offered = re.search(r'href="(/saved\?save=[^"]+)"', results)
    assert offered
    form = page.get(offered[1].replace("&amp;", "&")).text
    address = re.search(r'name="address" value="([^"]+)"', form)
    assert address
    kept = address[1].replace("&amp;", "&")
    assert kept.startswith("/search?service=car")
    assert send(page, to="save", name="slow ones", address=kept).status_code == 303
    again = opened(folder).get("/saved").text
    assert re.search(r'<a href="/search\?service=car&amp;[^"]*minDuration=1ms[^"]*">slow ones</a>', again)
    assert markup(again).complaints() == []
    send(page, to="forget", name="slow ones")
    assert "No search is saved." in page.get("/saved").text


def test_a_pinned_trace_is_shown_when_the_store_has_deleted_it(folder: Path) -> None:
    assert send(opened(folder), to="pin", trace=TRACE).status_code == 303
    later = opened(folder, {"/api/services": {"data": []}})
    assert "web: GET /cars/{maker}/{model}" in later.get("/saved").text
    for path in ("", "/flame", "/span/b1", "/download/jaeger"):
        assert later.get(f"/trace/{TRACE}{path}").status_code == 200, path
    assert "SELECT cars" in later.get(f"/trace/{TRACE}").text
    send(later, to="unpin", trace=TRACE)
    assert later.get(f"/trace/{TRACE}").status_code == 404
    assert list((folder / "pins").iterdir()) == []


def test_a_pinned_trace_is_shown_while_its_source_is_away(folder: Path) -> None:
    send(opened(folder), to="pin", trace=TRACE)
    away = create_app(ConsoleSettings(kept_dir=str(folder)), recorded.sources(jaeger=Away())).test_client()
    assert "SELECT cars" in away.get(f"/trace/{TRACE}").text
    assert away.get(f"/trace/{'1' * 32}").status_code == 503


@pytest.mark.parametrize(
    "address",
    [
        "http://evil.example/search",
        "//evil.example/search",
        "javascript:alert(1)",
        "//[",
        "/faults",
        "/nowhere",
    ],
)
def test_only_searches_of_this_console_are_saved(folder: Path, address: str) -> None:
    page = opened(folder)
    assert send(page, to="save", name="x", address=address).status_code == 409
    assert Kept(folder).searches() == []


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"to": "save", "name": "", "address": "/search"}, 409),
        ({"to": "save", "name": "x" * 101, "address": "/search"}, 409),
        ({"to": "burn"}, 400),
        ({"to": "pin", "trace": "../../etc/passwd"}, 400),
        ({"to": "pin", "trace": "1" * 32}, 409),
    ],
)
def test_what_cannot_be_kept_is_said(folder: Path, fields: dict[str, str], status: int) -> None:
    assert send(opened(folder), None, **fields).status_code == status


def test_a_form_that_another_page_sends_keeps_nothing(folder: Path) -> None:
    page = opened(folder)
    evil = {"Origin": "http://evil.example"}
    assert send(page, evil, to="save", name="x", address="/search").status_code == 403
    assert page.post("/saved", data={"to": "save", "name": "x", "address": "/search"}).status_code == 403
    assert not folder.exists()


def test_what_is_kept_is_bounded_and_a_broken_file_is_named(folder: Path) -> None:
    kept = Kept(folder)
    for number in range(MOST):
        kept.save(Search(f"n{number}", "/search", number))
    assert send(opened(folder), to="save", name="one more", address="/search").status_code == 409
    assert send(opened(folder), to="save", name="n1", address="/logs").status_code == 303
    assert len(kept.searches()) == MOST
    (folder / "searches.json").write_text("{")
    assert "searches.json" in opened(folder).get("/saved").text


def test_a_console_without_a_folder_offers_nothing(console: FlaskClient) -> None:
    assert console.get("/saved").status_code == 404
    assert console.post("/saved", data={"to": "save"}).status_code == 403
    assert "/saved" not in console.get(f"/trace/{TRACE}").text
