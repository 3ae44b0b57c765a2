"""The console with a hundred services of long names, as it is drawn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import crowded
import pytest
import recorded
from playwright.sync_api import Page
from werkzeug.serving import make_server

from dashcam.console import ConsoleSettings, create_app

OUTSIDE = """[...document.querySelectorAll(".map text.node-label")].filter((label) => {
    const text = label.getBBox(), box = label.parentElement.querySelector("rect").getBBox();
    return text.x < box.x || text.x + text.width > box.x + box.width;
}).map((label) => label.textContent)"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = make_server("127.0.0.1", 0, create_app(ConsoleSettings(), crowded.sources()), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


SIZES = pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
WINDOW = f"start={recorded.START}&end={recorded.START + 10_000_000}&lookback=custom"
PAGES = [
    f"/flame?service={crowded.WIDE}&{WINDOW}",
    f"/trace/{recorded.TRACE}/flame",
    f"/contrast?service={crowded.LONG}-00&by=slow&{WINDOW}",
    f"/logs/patterns?{WINDOW}",
    f"/search?service={crowded.LONG}-00&{WINDOW}",
    f"/logs?{WINDOW}",
    f"/download?of=trace&trace={recorded.TRACE}",
]


@SIZES
@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_as_wide_as_the_screen_and_can_be_heard_and_typed(
    address: str,
    new_page: Callable[..., Page],
    assert_accessible: Callable[[Page], None],
    path: str,
    width: int,
    scheme: str,
) -> None:
    page = new_page(width, color_scheme=scheme)
    answer = page.goto(address + path)
    assert answer
    assert answer.status == 200
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert_accessible(page)


@SIZES
def test_no_name_leaves_its_box_and_no_page_its_width(
    address: str,
    new_page: Callable[..., Page],
    assert_accessible: Callable[[Page], None],
    width: int,
    scheme: str,
) -> None:
    page = new_page(width, color_scheme=scheme)
    page.goto(address)
    assert page.locator(".map text.node-label").count() > 20
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    first = page.locator(".services tbody tr").nth(3)
    box = first.locator(".svc").bounding_box()
    assert box
    assert box["width"] < width / 2, "a name leaves room for the figures"
    assert_accessible(page)
