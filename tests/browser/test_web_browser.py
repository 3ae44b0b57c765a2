"""The pages of `web` as people meet them: on a phone, in the dark, by keyboard, without script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from fakecar import FakeCar
from playwright.sync_api import Page, expect
from webapps import web_app
from werkzeug.serving import make_server

from services.web.asking import Away

NewPage = Callable[..., Page]
Check = Callable[[Page], None]

PAGES = [
    "/cars",
    "/cars?maker=nobody",
    "/cars?min_rating=eleven",
    "/cars/bentz/e-class?discount=500",
    "/cars/bentz/e-class?discount=abc",
    "/new-car",
    "/cars/bentz/e-class/edition",
    "/cars/bentz/e-class/deletion",
    "/nowhere",
]


@dataclass
class Site:
    """The served pages and the `car` behind them."""

    url: str
    fake: FakeCar


@pytest.fixture
def site() -> Iterator[Site]:
    fake = FakeCar()
    with web_app(fake) as app:
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield Site(f"http://127.0.0.1:{server.server_port}", fake)
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_no_page_has_a_grave_flaw_for_those_who_hear_or_type_it(
    site: Site, new_page: NewPage, assert_accessible: Check, width: int, scheme: str
) -> None:
    page = new_page(width, color_scheme=scheme)
    for path in PAGES:
        page.goto(site.url + path)
        assert_accessible(page)
    site.fake.no_quote = Away("The service that works out a quote is away.")
    page.goto(f"{site.url}/cars/bentz/e-class?discount=500")
    assert_accessible(page)
    site.fake.failure = Away("The car service cannot be reached.")
    page.goto(f"{site.url}/cars")
    assert_accessible(page)


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_no_page_is_wider_than_the_screen(site: Site, new_page: NewPage, width: int) -> None:
    page = new_page(width)
    for path in PAGES:
        page.goto(site.url + path)
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over <= 0, f"{path} is {over} pixels wider than {width}"


def test_the_table_is_cards_on_a_phone_and_still_a_table_to_a_screen_reader(
    site: Site, new_page: NewPage
) -> None:
    page = new_page(390)
    page.goto(f"{site.url}/cars")
    row = page.get_by_role("row").nth(1)
    box = row.bounding_box()
    assert box
    assert box["height"] > 80, "a card stacks what a row has side by side"
    expect(row.get_by_role("rowheader")).to_have_text("Bentz C-Class")
    expect(row.get_by_role("cell")).to_have_count(4)


def test_dark_and_light_differ(site: Site, new_page: NewPage) -> None:
    grounds = set()
    for scheme in ("light", "dark"):
        page = new_page(color_scheme=scheme)
        page.goto(f"{site.url}/cars")
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


def test_a_page_asks_no_other_host_and_breaks_no_policy(site: Site, new_page: NewPage) -> None:
    page = new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    for path in ("/cars", "/cars/bentz/e-class?discount=500", "/new-car", "/cars/bentz/e-class/edition"):
        page.goto(site.url + path)
    assert [url for url in asked if not url.startswith(site.url)] == []
    assert complaints == []


def test_a_car_is_found_quoted_and_changed_by_keyboard_alone(site: Site, new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{site.url}/cars")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_label("Maker").focus()
    page.keyboard.type("Bentz")
    page.keyboard.press("Tab")
    page.keyboard.type("9.8")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row")).to_have_count(3)
    page.get_by_role("link", name="Bentz E-Class").press("Enter")
    page.get_by_label("Discount").press_sequentially("500")
    page.keyboard.press("Enter")
    expect(page.locator("#quote")).to_contain_text("€61,500")
    page.get_by_role("link", name="Edit").press("Enter")
    page.get_by_label("Price").fill("59999")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Bentz E-Class is changed.")
    assert site.fake.shelf["bentz", "e-class"].price == 59999


def test_what_has_the_focus_is_marked(site: Site, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{site.url}/cars")
    for _ in range(12):
        page.keyboard.press("Tab")
        style = page.evaluate("(() => getComputedStyle(document.activeElement).outlineStyle)()")
        assert style == "solid", page.evaluate("document.activeElement.outerHTML")


def test_a_slip_is_announced_and_its_link_leads_to_the_field(site: Site, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{site.url}/new-car")
    page.get_by_label("Maker").fill("Big Maker")
    page.get_by_role("button", name="Add the car").click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    summary.get_by_role("link", name="Maker").click()
    field = page.get_by_label("Maker")
    expect(field).to_be_focused()
    expect(field).to_have_value("Big Maker")
    expect(field).to_have_attribute("aria-invalid", "true")
    described = str(field.get_attribute("aria-describedby")).split()
    assert "big-maker" in " ".join(page.locator(f"#{each}").inner_text() for each in described)


def test_two_people_change_a_car_and_neither_loses_what_they_wrote(site: Site, new_page: NewPage) -> None:
    mine, theirs = new_page(), new_page()
    for page, price in ((mine, "59999"), (theirs, "64500")):
        page.goto(f"{site.url}/cars/bentz/e-class/edition")
        page.get_by_label("Price").fill(price)
    theirs.get_by_role("button", name="Save").click()
    expect(theirs.get_by_role("status")).to_be_visible()
    mine.get_by_role("button", name="Save").click()
    expect(mine.get_by_role("heading", name="The car was changed meanwhile")).to_be_visible()
    expect(mine.get_by_role("row").nth(1)).to_have_text("Price5999964500")
    expect(mine.get_by_label("Price")).to_have_value("59999")
    assert site.fake.shelf["bentz", "e-class"].price == 64500
    mine.get_by_role("button", name="Save mine over theirs").click()
    expect(mine.get_by_role("status")).to_be_visible()
    assert site.fake.shelf["bentz", "e-class"].price == 59999


def test_a_car_is_deleted_only_after_the_question(site: Site, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{site.url}/cars/bentz/e-class")
    page.get_by_role("link", name="Delete").click()
    assert ("bentz", "e-class") in site.fake.shelf
    page.get_by_role("button", name="Delete the car").click()
    expect(page.get_by_role("status")).to_contain_text("is deleted")
    assert ("bentz", "e-class") not in site.fake.shelf


def test_when_car_is_away_the_page_gives_the_trace_to_quote_and_a_way_to_try_again(
    site: Site, new_page: NewPage
) -> None:
    page = new_page()
    site.fake.failure = Away("The car service cannot be reached.")
    answer = page.goto(f"{site.url}/cars?maker=bentz")
    assert answer
    assert answer.status == 503
    trace_id = answer.headers["traceresponse"].split("-")[1]
    expect(page.locator("main code")).to_have_text(trace_id)
    expect(page.get_by_role("link", name="See this request in the console")).to_have_attribute(
        "href", f"http://console.test/trace/{trace_id}"
    )
    site.fake.failure = None
    page.get_by_role("link", name="Try again").click()
    expect(page).to_have_url(f"{site.url}/cars?maker=bentz")
    expect(page.get_by_role("row")).to_have_count(5)
