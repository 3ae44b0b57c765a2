"""The pages for reading: the catalogue, a car, its quote, and what stands on every page."""

from __future__ import annotations

import dataclasses
import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from fakecar import FakeCar
from flask import Flask
from flask.testing import FlaskClient

from services.web.asking import Away, Misbehaved, ServiceError, Slow


def cars_on(page: str) -> list[str]:
    return re.findall(r'<th role="rowheader".*?href="(/cars/[^"]+)"', page, re.DOTALL)


def link(page: str, rel: str) -> str | None:
    match = re.search(rf'rel="{rel}" href="([^"]+)"', page)
    return unescape(match[1]) if match else None


def test_the_root_leads_to_the_catalogue(client: FlaskClient) -> None:
    assert client.get("/").location == "/cars"


def test_hello_is_exactly_what_it_was(client: FlaskClient) -> None:
    answer = client.get("/hello")
    assert answer.text == "<h1>Hello World!</h1>"
    assert answer.mimetype == "text/html"


def test_next_and_previous_lead_through_all_cars_and_back(client: FlaskClient, fake: FakeCar) -> None:
    first = client.get("/cars?sort=price").text
    onward = link(first, "next")
    assert onward
    second = client.get(onward).text
    assert (
        len(cars_on(first) + cars_on(second)) == len(set(cars_on(first) + cars_on(second))) == len(fake.shelf)
    )
    assert "Page 2 of 2" in second
    assert link(second, "next") is None
    back = link(second, "prev")
    assert back
    assert parse_qs(urlsplit(back).query) == {"sort": ["price"]}
    assert cars_on(client.get(back).text) == cars_on(first)
    assert link(first, "prev") is None


def test_filters_reach_car_and_stay_in_the_form(client: FlaskClient, fake: FakeCar) -> None:
    page = client.get("/cars?maker=bentz&min_rating=9&release_date=2021&sort=-price").text
    asked = dict(fake.asked[-1])
    assert asked.pop("limit")
    assert asked == {"maker": "bentz", "min_rating": "9.0", "release_date": "2021", "sort": "-price"}
    assert cars_on(page) == ["/cars/bentz/eqs", "/cars/bentz/e-class", "/cars/bentz/c-class"]
    assert '<option selected value="bentz">' in page
    assert 'value="2021"' in page


def test_a_filter_that_matches_nothing_says_so_and_offers_the_way_out(client: FlaskClient) -> None:
    page = client.get("/cars?maker=nobody").text
    assert "No car matches" in page
    assert 'href="/cars"' in page


def test_an_empty_catalogue_invites_to_add_the_first_car(client: FlaskClient, fake: FakeCar) -> None:
    fake.shelf.clear()
    assert "Add the first car" in client.get("/cars").text


def test_a_bad_filter_is_named_in_a_summary_that_leads_to_the_field(
    client: FlaskClient, fake: FakeCar
) -> None:
    answer = client.get("/cars?min_rating=eleven")
    assert answer.status_code == 400
    assert not fake.asked, "what cannot be used is not asked"
    assert '<a href="#min_rating">' in answer.text
    assert 'aria-describedby="min_rating-error"' in answer.text
    assert "“eleven” is not a rating" in answer.text


def test_a_damaged_cursor_is_a_page_that_leads_out(client: FlaskClient) -> None:
    answer = client.get("/cars?cursor=junk")
    assert answer.status_code == 400
    assert "cursor: take it from" in answer.text
    assert ">Clear</a>" in answer.text


def test_a_maker_is_a_view_of_the_catalogue(client: FlaskClient) -> None:
    assert client.get("/cars/bentz").location == "/cars?maker=bentz"


def test_a_car_shows_all_that_is_known_of_it(client: FlaskClient) -> None:
    page = client.get("/cars/bentz/e-class").text
    for known in (
        "€62,000",
        "9.8",
        "2021-03-15",
        "Petrol",
        "150 kW",
        "1,991 cm³",
        "heated seats",
        "A quiet saloon",
    ):
        assert known in page


def test_what_people_wrote_is_shown_as_text_never_as_markup(client: FlaskClient, fake: FakeCar) -> None:
    evil = "<script>alert(1)</script>"
    fake.change_behind("bentz", "e-class", name=evil, description=evil, options=(evil,))
    for path in (
        "/cars",
        "/cars/bentz/e-class",
        "/cars/bentz/e-class/edition",
        "/cars/bentz/e-class/deletion",
    ):
        page = client.get(path).text
        assert "<script>" not in page
        assert "&lt;script&gt;" in page


def test_a_quote_stands_on_the_page_of_the_car(client: FlaskClient) -> None:
    answer = client.get("/cars/bentz/e-class?discount=500")
    assert answer.status_code == 200
    assert "€61,500" in answer.text
    assert 'name="discount"' in answer.text
    assert 'value="500"' in answer.text


@pytest.mark.parametrize(
    ("discount", "said"),
    [("abc", "“abc” is not a whole number"), ("", "Give the discount"), ("70000", "62000")],
)
def test_a_discount_that_cannot_be_given_is_named_beside_the_field(
    client: FlaskClient, discount: str, said: str
) -> None:
    answer = client.get("/cars/bentz/e-class", query_string={"discount": discount})
    assert answer.status_code == 422
    assert said in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert "€62,000" in answer.text, "the car is shown all the same"


@pytest.mark.parametrize("error", [Away("nobody answers."), Slow("no answer."), Misbehaved("nonsense.")])
def test_without_the_quote_the_car_is_shown_with_a_note_and_the_trace_id(
    client: FlaskClient, fake: FakeCar, error: ServiceError
) -> None:
    fake.no_quote = error
    answer = client.get("/cars/bentz/e-class?discount=500")
    assert answer.status_code == 200
    assert "No quote at the moment" in answer.text
    assert str(error) in answer.text
    assert "€62,000" in answer.text
    assert "1,991 cm³" in answer.text


def test_every_page_links_to_its_own_trace(client: FlaskClient) -> None:
    answer = client.get("/cars")
    trace_id = answer.headers["traceresponse"].split("-")[1]
    assert f'href="http://console.test/trace/{trace_id}"' in answer.text
    assert f">{trace_id}</code>" in answer.text


def test_a_car_whose_name_says_new_or_edition_is_hidden_by_no_form(
    client: FlaskClient, fake: FakeCar
) -> None:
    for maker, model in (("new", "car"), ("new-car", "edition"), ("bentz", "deletion"), ("bentz", "new")):
        car = fake.shelf["bentz", "e-class"]
        fake.shelf[maker, model] = dataclasses.replace(car, maker=maker, model=model, name=f"{maker} {model}")
        assert f"<h1>{maker} {model}</h1>" in client.get(f"/cars/{maker}/{model}").text


def test_a_page_has_no_inline_script_and_nothing_of_another_host(client: FlaskClient, app: Flask) -> None:
    for path in (
        "/cars",
        "/cars/bentz/e-class?discount=5",
        "/new-car",
        "/cars/bentz/e-class/edition",
        "/nowhere",
    ):
        page = client.get(path).text
        assert not re.search("<script(?! defer src=)", page)
        assert "<style" not in page
        assert not re.search(r'\s(style|on[a-z]+)="', page)
        assert not re.search(r'(src|<link[^>]*href)="(https?:)?//', page)


def test_static_files_have_an_address_that_changes_with_their_content(client: FlaskClient) -> None:
    match = re.search(r'href="(/static/web\.css\?v=[0-9a-f]{12})"', client.get("/cars").text)
    assert match
    with client.get(match[1]) as answer:
        assert answer.status_code == 200
        assert "max-age=86400" in answer.headers["Cache-Control"]
    with client.get(match[1], headers={"If-None-Match": answer.headers["ETag"]}) as again:
        assert again.status_code == 304


def test_head_and_options_are_answered(client: FlaskClient) -> None:
    head = client.head("/cars/bentz/e-class")
    assert (head.status_code, head.data) == (200, b"")
    options = client.options("/cars/bentz/e-class/edition")
    assert set(options.allow) == {"GET", "HEAD", "OPTIONS", "POST"}
