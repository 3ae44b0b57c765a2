"""The forms that change something: nothing happens twice, nothing is lost, nobody's change is overwritten."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fakecar import FakeCar
from flask.testing import FlaskClient

from services.web.asking import Away, Rejected
from services.web.catalogue import Complaint

EDITION = "/cars/bentz/e-class/edition"
DELETION = "/cars/bentz/e-class/deletion"

TYPED = {
    "maker": "norden",
    "model": "c40",
    "name": "Norden C40",
    "price": "44000",
    "currency": "EUR",
    "rating": "8.1",
    "release_date": "2023-01-31",
    "fuel": "electric",
    "power_kw": "170",
    "displacement_cc": "",
    "cylinders": "",
    "options": "sunroof",
    "description": "Typed with care.",
}


def hidden(page: str, name: str) -> str:
    match = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert match, f"the page has no hidden field {name}"
    return match[1].replace("&#34;", '"')


def opened(client: FlaskClient, path: str, **changes: str) -> dict[str, str]:
    """The fields of the form at `path` as a browser would send them."""
    page = client.get(path).text
    fields = {"csrf_token": hidden(page, "csrf_token"), "etag": hidden(page, "etag")}
    for name, value in re.findall(r'<input [^>]*name="(\w+)"[^>]* value="([^"]*)"', page):
        fields.setdefault(name, value)
    for name, value in re.findall(r'<textarea [^>]*name="(\w+)"[^>]*>\s*(.*?)</textarea>', page, re.DOTALL):
        fields[name] = value
    if match := re.search(r'<option selected value="(\w+)"', page):
        fields["fuel"] = match[1]
    return fields | changes


def test_a_new_car_is_added_once_and_its_page_says_so(client: FlaskClient, fake: FakeCar, token: str) -> None:
    answer = client.post("/new-car", data=TYPED | {"csrf_token": token})
    assert answer.status_code == 303
    assert answer.location == "/cars/norden/c40"
    assert fake.shelf["norden", "c40"].price == 44000
    assert "Norden C40 is in the catalogue." in client.get(answer.location).text
    assert "is in the catalogue" not in client.get(answer.location).text, "the message is shown once"


def test_a_form_with_slips_comes_back_whole_with_a_summary(
    client: FlaskClient, fake: FakeCar, token: str
) -> None:
    cars = len(fake.shelf)
    answer = client.post("/new-car", data=TYPED | {"csrf_token": token, "price": "12x", "model": ""})
    assert answer.status_code == 422
    assert len(fake.shelf) == cars
    assert '<a href="#price">Price: “12x” is not a whole number' in answer.text
    assert '<a href="#model">' in answer.text
    assert 'value="12x"' in answer.text
    assert "Typed with care." in answer.text
    assert "<title>Error: " in answer.text


def test_complaints_of_car_stand_beside_their_fields(client: FlaskClient, fake: FakeCar, token: str) -> None:
    complaints = (Complaint("engine.power_kw", "too strong for this world"), Complaint("colour", "unknown"))
    fake.refusal = Rejected("The request breaks the rules", complaints)
    answer = client.post("/new-car", data=TYPED | {"csrf_token": token})
    assert answer.status_code == 422
    assert '<a href="#power_kw">Power (kW): too strong for this world</a>' in answer.text
    assert "<li>colour: unknown</li>" in answer.text
    assert "Typed with care." in answer.text


def test_a_car_that_exists_is_not_touched_and_linked(client: FlaskClient, fake: FakeCar, token: str) -> None:
    before = fake.shelf["bentz", "e-class"]
    answer = client.post("/new-car", data=TYPED | {"csrf_token": token, "maker": "bentz", "model": "e-class"})
    assert answer.status_code == 409
    assert '<a href="/cars/bentz/e-class">' in answer.text
    assert "Typed with care." in answer.text
    assert fake.shelf["bentz", "e-class"] == before


@pytest.mark.parametrize("path", ["/new-car", EDITION])
def test_when_car_is_away_what_was_typed_is_still_there(
    client: FlaskClient, fake: FakeCar, token: str, path: str
) -> None:
    fake.failure = Away("The car service cannot be reached.", retry_after="7")
    answer = client.post(path, data=TYPED | {"csrf_token": token, "etag": '"v0"'})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "7"
    assert "The car service cannot be reached." in answer.text
    assert "Typed with care." in answer.text
    assert answer.headers["traceresponse"].split("-")[1] in answer.text


@pytest.mark.parametrize("sent", [{}, {"csrf_token": "forged"}])
def test_a_change_without_the_token_is_not_made_and_comes_back_to_be_sent_again(
    client: FlaskClient, fake: FakeCar, sent: dict[str, str]
) -> None:
    cars = dict(fake.shelf)
    for path in ("/new-car", EDITION, DELETION):
        answer = client.post(path, data=TYPED | sent | {"etag": '"v0"'})
        assert answer.status_code == 400
        assert "For your safety this was not done" in answer.text
        assert fake.shelf == cars
        again = client.post(
            path, data=TYPED | {"csrf_token": hidden(answer.text, "csrf_token"), "etag": '"v0"'}
        )
        assert again.status_code == 303, "the form that came back can be sent"
        fake.shelf, fake.versions = dict(cars), type(fake.versions)()


def test_a_deletion_without_the_token_of_a_car_that_is_gone_is_a_404(client: FlaskClient) -> None:
    assert client.post("/cars/bentz/gone/deletion").status_code == 404


def test_an_edition_changes_the_car(client: FlaskClient, fake: FakeCar) -> None:
    answer = client.post(EDITION, data=opened(client, EDITION, price="59999"))
    assert answer.status_code == 303
    assert answer.location == "/cars/bentz/e-class"
    changed = fake.shelf["bentz", "e-class"]
    assert changed.price == 59999
    assert changed.engine.fuel == "petrol"
    assert changed.options == ("sunroof", "heated-seats", "head-up-display")


def test_an_edition_cannot_move_a_car_to_another_key(client: FlaskClient, fake: FakeCar) -> None:
    answer = client.post(EDITION, data=opened(client, EDITION, maker="casa", model="grande"))
    assert answer.location == "/cars/bentz/e-class"
    assert fake.shelf["casa", "grande"].name == "Casa Grande"


def test_a_lost_update_is_prevented_and_both_versions_are_shown(client: FlaskClient, fake: FakeCar) -> None:
    sent = opened(client, EDITION, price="59999", description="Mine.")
    fake.change_behind("bentz", "e-class", price=64500)
    answer = client.post(EDITION, data=sent)
    assert answer.status_code == 409
    assert fake.shelf["bentz", "e-class"].price == 64500, "theirs is not overwritten"
    assert "The car was changed meanwhile" in answer.text
    assert re.search(r"<td>59999</td>\s*<td>64500</td>", answer.text), "both versions side by side"
    assert 'value="59999"' in answer.text, "mine is still in the form"
    assert ">Mine.</textarea>" in answer.text.replace("\r\n", "")
    assert '<th scope="row">Rating</th>' not in answer.text, "only what differs"

    again = sent | {"etag": hidden(answer.text, "etag")}
    assert client.post(EDITION, data=again).status_code == 303, "saving again is a decision, and works"
    assert fake.shelf["bentz", "e-class"].price == 59999


@pytest.mark.parametrize("etag", ["", "junk", '"v9"', '"v0"\r\nX-Evil: 1'])
def test_a_form_that_names_no_known_version_overwrites_nothing(
    client: FlaskClient, fake: FakeCar, etag: str
) -> None:
    before = fake.shelf["bentz", "e-class"]
    answer = client.post(EDITION, data=opened(client, EDITION, price="1") | {"etag": etag})
    assert answer.status_code == 409
    assert fake.shelf["bentz", "e-class"] == before


def test_a_car_deleted_meanwhile_can_be_added_again_with_what_was_typed(
    client: FlaskClient, fake: FakeCar
) -> None:
    sent = opened(client, EDITION, description="Kept.")
    del fake.shelf["bentz", "e-class"]
    answer = client.post(EDITION, data=sent)
    assert answer.status_code == 409
    assert "deleted meanwhile" in answer.text
    assert "Kept." in answer.text
    assert 'action="/new-car"' in answer.text
    assert 'value="e-class"' in answer.text


def test_deleting_asks_first_and_then_deletes(client: FlaskClient, fake: FakeCar) -> None:
    page = client.get(DELETION)
    assert "Delete Bentz E-Class?" in page.text
    assert ("bentz", "e-class") in fake.shelf
    sent = {name: hidden(page.text, name) for name in ("csrf_token", "etag")}
    answer = client.post(DELETION, data=sent)
    assert (answer.status_code, answer.location) == (303, "/cars")
    assert ("bentz", "e-class") not in fake.shelf
    assert "is deleted." in client.get("/cars").text


def test_a_car_that_was_changed_meanwhile_is_asked_about_again(client: FlaskClient, fake: FakeCar) -> None:
    page = client.get(DELETION).text
    sent = {name: hidden(page, name) for name in ("csrf_token", "etag")}
    fake.change_behind("bentz", "e-class", price=1)
    answer = client.post(DELETION, data=sent)
    assert answer.status_code == 409
    assert ("bentz", "e-class") in fake.shelf
    assert "€1<" in answer.text, "what it is now"
    sent["etag"] = hidden(answer.text, "etag")
    assert client.post(DELETION, data=sent).status_code == 303


def test_a_program_gets_the_complaints_as_a_problem(client: FlaskClient, token: str) -> None:
    wanted = {"Accept": "application/problem+json"}
    answer = client.post("/new-car", data=TYPED | {"csrf_token": token, "price": "12x"}, headers=wanted)
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    problem: dict[str, Any] = answer.get_json()
    assert problem["errors"][0]["field"] == "price"
    assert problem["errors"][0]["value"] == "12x"
    assert "whole number" in problem["errors"][0]["detail"]
