"""The overview of hundreds of services: what needs a person is on top, and the page stays a page."""

from __future__ import annotations

import re
from typing import Any

import crowded
import pytest
from flask.testing import FlaskClient

from dashcam.console import ConsoleSettings, create_app
from dashcam.console.filters import fitted
from dashcam.console.pages.overview import ROWS
from dashcam.console.servicemap import MOST_NODES


@pytest.fixture
def page() -> str:
    client: FlaskClient = create_app(ConsoleSettings(), crowded.sources()).test_client()
    return client.get("/").text


def rows(page: str) -> list[str]:
    table = page[page.index('<table class="services">') : page.index("</table>")]
    return re.findall(r'monitor\?service=([^&"]+)[^"]*"><span class="svc">', table)


def test_what_needs_a_person_comes_before_what_is_busy(page: str) -> None:
    assert rows(page)[:3] == ["down-one", "fired", "failing-one"]
    assert len(rows(page)) == ROWS
    assert "1 down · 1 firing · 1 failing" in re.sub(r"\s+", " ", page)


def test_the_map_keeps_those_that_need_a_person(page: str) -> None:
    drawn = re.findall(r'aria-label="Metrics of ([^"]+)"', page)
    assert {"down-one", "fired", "failing-one"} <= set(drawn)
    assert len(drawn) <= MOST_NODES
    assert "more services are not drawn" in page


def test_five_hundred_services_are_pages_of_a_bounded_size_on_which_each_is_found() -> None:
    client = create_app(ConsoleSettings(), crowded.sources(more=400)).test_client()
    sizes, found = [], []
    for place in range(1, 11):
        page = client.get(f"/?page={place}").text
        sizes.append(len(page.encode()))
        found += rows(page)
    assert max(sizes) < 150 * 1024
    assert len(set(found)) == len(found) == 500
    assert client.get("/?page=99").text.count("10 of 10")
    page = client.get("/?q=MORE-0007").text
    assert [name.rsplit("-", 1)[1] for name in rows(page)] == ["0007"]
    assert "1 of 500" in page
    assert "No service has this in its name." in client.get("/?q=nothing").text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("car", "car"),
        ("checkout-service", "checkout-service"),
        (crowded.LONG, "com.exa…urope-west"),
        (crowded.WIDE, "WWWWW…WWWWWW"),
        (crowded.ASIAN, "決済サー…の共有基盤"),
        ("", ""),
    ],
)
def test_a_name_is_cut_by_how_wide_it_is(text: str, shown: Any) -> None:
    assert fitted(text, 18.0) == shown
