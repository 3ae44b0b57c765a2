"""The API of `car`, on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
from typing import Any

import pytest
from carapps import a_car
from flask.testing import FlaskClient

E_CLASS = "/cars/bentz/e-class"
EVERY_ROUTE = ("/cars", "/cars/bentz", E_CLASS, f"{E_CLASS}/engine", f"{E_CLASS}/options")


def problem(response: Any, status: int) -> dict[str, Any]:
    """The problem document of `response`, which must have this status."""
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.content_type == "application/problem+json"
    document: dict[str, Any] = response.json
    assert document["status"] == status
    assert len(document["trace_id"]) == 32
    return document


def keys(page: dict[str, Any]) -> list[str]:
    return [f"{car['maker']}/{car['model']}" for car in page["cars"]]


# -- reading ---------------------------------------------------------------------------------------


def test_a_new_catalogue_has_the_car_of_the_examples(car: FlaskClient) -> None:
    found = car.get(E_CLASS)
    assert found.status_code == 200
    assert found.json["name"] == "Bentz E-Class"
    assert (found.json["price"], found.json["currency"], found.json["rating"]) == (62000, "EUR", 9.8)
    assert found.json["release_date"].startswith("2021-")
    assert found.json["links"]["quote"] == f"{E_CLASS}/quote"


def test_examples_fill_more_than_one_page_of_several_makers_and_years(car: FlaskClient) -> None:
    page = car.get("/cars").json
    assert page["total"] >= 30
    assert len(page["cars"]) == 20
    assert len(page["makers"]) >= 8
    assert sum(maker["count"] for maker in page["makers"]) == page["total"]


def test_examples_can_be_left_out(bare_car: FlaskClient) -> None:
    assert bare_car.get("/cars").json == {"cars": [], "total": 0, "makers": [], "next": None}


def test_a_makers_page_has_its_cars_only(car: FlaskClient) -> None:
    page = car.get("/cars/bentz").json
    assert page["maker"] == "bentz"
    assert {found["maker"] for found in page["cars"]} == {"bentz"}
    assert page["makers"] == [{"maker": "bentz", "count": page["total"]}]


@pytest.mark.parametrize("path", ["/cars/nobody", "/cars/bentz/none", "/cars/bentz/none/engine", "/nothing"])
def test_what_is_not_there_is_a_404_problem(car: FlaskClient, path: str) -> None:
    assert problem(car.get(path), 404)["instance"] == path


@pytest.mark.parametrize(
    "path",
    [
        "/cars/Bentz",
        "/cars/bentz/e_class",
        "/cars/-a",
        "/cars/a--b",
        "/cars/%00",
        "/cars/%F0%9F%9A%97",
        "/cars/%ff",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_address_that_is_no_slug_is_a_404_that_says_why(
    refusing_car: FlaskClient, path: str, method: str
) -> None:
    errors = problem(refusing_car.open(path, method=method, json={}), 404)["errors"]
    assert errors[0]["field"] in ("maker", "model")
    assert "lower case" in errors[0]["detail"]


def test_a_trailing_slash_is_another_address(refusing_car: FlaskClient) -> None:
    problem(refusing_car.get("/cars/"), 404)
    problem(refusing_car.get(f"{E_CLASS}/"), 404)


def test_parts_are_read_by_themselves(car: FlaskClient) -> None:
    whole = car.get(E_CLASS).json
    assert car.get(f"{E_CLASS}/engine").json == whole["engine"]
    assert car.get(f"{E_CLASS}/options").json == {"options": whole["options"]}
    assert car.get(f"{E_CLASS}/description").json == {"description": whole["description"]}


# -- methods ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*EVERY_ROUTE, f"{E_CLASS}/quote", "/openapi.json"])
def test_head_answers_as_get_does_without_a_body(car: FlaskClient, path: str) -> None:
    got, head = car.get(path), car.head(path)
    assert head.status_code == 200
    assert head.data == b""
    for name in ("Content-Type", "Content-Length", "ETag", "Cache-Control", "Link"):
        assert head.headers.get(name) == got.headers.get(name), name


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/cars", {"GET", "POST", "DELETE"}),
        ("/cars/bentz", {"GET", "POST", "PUT", "DELETE"}),
        (E_CLASS, {"GET", "PUT", "DELETE"}),
        (f"{E_CLASS}/engine", {"GET", "PUT"}),
        (f"{E_CLASS}/options", {"GET", "PUT"}),
        (f"{E_CLASS}/description", {"GET", "PUT"}),
        (f"{E_CLASS}/quote", {"GET"}),
        ("/openapi.json", {"GET"}),
    ],
)
def test_options_and_405_name_the_methods_of_an_address(
    refusing_car: FlaskClient, path: str, methods: set[str]
) -> None:
    allowed = methods | {"HEAD", "OPTIONS"}
    options = refusing_car.options(path)
    assert (options.status_code, options.data) == (204, b"")
    assert set(options.headers["Allow"].split(", ")) == allowed
    refused = refusing_car.patch(path)
    problem(refused, 405)
    assert set(refused.headers["Allow"].split(", ")) == allowed


# -- adding ----------------------------------------------------------------------------------------


def test_an_added_car_is_found_at_its_location_with_the_same_tag(bare_car: FlaskClient) -> None:
    added = bare_car.post("/cars", json=a_car())
    assert added.status_code == 201
    assert added.headers["Location"] == "/cars/acme/one"
    found = bare_car.get(added.headers["Location"])
    assert found.json == added.json
    assert found.headers["ETag"] == added.headers["ETag"]


def test_what_an_added_car_leaves_out_has_a_default(bare_car: FlaskClient) -> None:
    added = bare_car.post("/cars", json=a_car()).json
    assert (added["name"], added["currency"], added["rating"]) == ("Acme One", "EUR", None)
    assert (added["engine"], added["options"], added["description"]) == (None, [], "")


def test_a_car_is_added_to_the_maker_of_the_address(bare_car: FlaskClient) -> None:
    document = a_car()
    del document["maker"]
    added = bare_car.post("/cars/acme", json=document)
    assert (added.status_code, added.headers["Location"]) == (201, "/cars/acme/one")


def test_a_maker_other_than_the_addresss_is_refused(bare_car: FlaskClient) -> None:
    refused = problem(bare_car.post("/cars/other", json=a_car()), 422)
    assert refused["errors"][0] == {
        "field": "maker",
        "value": "acme",
        "detail": "the address says 'other': give the same or leave the field out",
    }


def test_a_duplicate_is_a_409_and_changes_nothing(car: FlaskClient) -> None:
    before = car.get("/cars")
    assert (
        "bentz/e-class"
        in problem(car.post("/cars", json=a_car(maker="bentz", model="e-class")), 409)["detail"]
    )
    after = car.get("/cars")
    assert after.json == before.json
    assert after.headers["ETag"] == before.headers["ETag"]


@pytest.mark.parametrize(
    "text",
    ["Zoë's 車 🚗", "a\tb\nc\r\nd", "x" * 4000, "'; DROP TABLE cars; --", "%00 %s {} \\", "\u2028"],
)
def test_texts_come_back_as_they_were_given(bare_car: FlaskClient, text: str) -> None:
    assert bare_car.post("/cars", json=a_car(description=text)).status_code == 201
    assert bare_car.get("/cars/acme/one").json["description"] == text


# -- replacing and removing ------------------------------------------------------------------------


def test_put_adds_a_car_that_is_not_there_and_replaces_one_that_is(bare_car: FlaskClient) -> None:
    document = {"price": 1, "release_date": "2020-01-01", "rating": 5.5}
    added = bare_car.put("/cars/acme/two", json=document)
    assert (added.status_code, added.headers["Location"]) == (201, "/cars/acme/two")
    replaced = bare_car.put("/cars/acme/two", json={"price": 2, "release_date": "2020-01-01"})
    assert replaced.status_code == 200
    assert replaced.json["rating"] is None, "PUT replaces: what is left out goes back to its default"
    assert bare_car.get("/cars/acme/two").json == replaced.json


def test_a_car_that_was_read_can_be_sent_back_as_it_is(car: FlaskClient) -> None:
    read = car.get(E_CLASS)
    sent = car.put(E_CLASS, json=read.json)
    assert (sent.status_code, sent.json, sent.headers["ETag"]) == (200, read.json, read.headers["ETag"])


def test_parts_are_replaced_by_themselves(car: FlaskClient) -> None:
    engine = {"fuel": "electric", "displacement_cc": None, "power_kw": 300, "cylinders": None}
    assert car.put(f"{E_CLASS}/engine", json=engine).json == engine
    assert car.put(f"{E_CLASS}/options", json={"options": ["tow-bar"]}).json == {"options": ["tow-bar"]}
    assert car.put(f"{E_CLASS}/description", json={"description": ""}).json == {"description": ""}
    whole = car.get(E_CLASS).json
    assert (whole["engine"], whole["options"], whole["description"]) == (engine, ["tow-bar"], "")
    assert whole["price"] == 62000


def test_an_engine_that_was_never_recorded_is_a_404_until_it_is_put(bare_car: FlaskClient) -> None:
    bare_car.post("/cars", json=a_car())
    problem(bare_car.get("/cars/acme/one/engine"), 404)
    put = bare_car.put("/cars/acme/one/engine", json={"fuel": "petrol", "power_kw": 80})
    assert put.status_code == 201
    assert bare_car.get("/cars/acme/one/engine").json == put.json


def test_replacing_a_maker_leaves_exactly_the_given_cars(car: FlaskClient) -> None:
    others = car.get("/cars/auriga").json
    cars = [{"model": "a", "price": 1, "release_date": "2020-01-01"}, car.get(E_CLASS).json]
    replaced = car.put("/cars/bentz", json={"cars": cars})
    assert (replaced.status_code, keys(replaced.json)) == (200, ["bentz/a", "bentz/e-class"])
    again = car.get("/cars/bentz")
    assert (again.json, again.headers["ETag"]) == (replaced.json, replaced.headers["ETag"])
    assert car.get("/cars/auriga").json == others


def test_replacing_a_maker_that_has_no_cars_adds_it(car: FlaskClient) -> None:
    cars = [{"model": "a", "price": 1, "release_date": "2020-01-01"}]
    added = car.put("/cars/newcomer", json={"cars": cars})
    assert (added.status_code, added.headers["Location"]) == (201, "/cars/newcomer")


def test_replacing_a_maker_with_one_bad_car_changes_nothing(car: FlaskClient) -> None:
    before = car.get("/cars/bentz").json
    cars = [{"model": "a", "price": 1, "release_date": "2020-01-01"}, {"model": "b", "price": -1}]
    errors = problem(car.put("/cars/bentz", json={"cars": cars}), 422)["errors"]
    assert [error["field"] for error in errors] == ["cars[1].price", "cars[1].release_date"]
    assert car.get("/cars/bentz").json == before


def test_a_page_that_is_not_the_whole_cannot_replace_the_whole(car: FlaskClient) -> None:
    page = car.get("/cars/bentz?limit=1").json
    assert problem(car.put("/cars/bentz", json=page), 422)["errors"][0]["field"] == "next"


def test_removing_a_car_a_maker_and_everything(car: FlaskClient) -> None:
    removed = car.delete(E_CLASS)
    assert (removed.status_code, removed.data) == (204, b"")
    problem(car.get(E_CLASS), 404)
    problem(car.delete(E_CLASS), 404)
    assert car.delete("/cars/bentz").status_code == 204
    problem(car.delete("/cars/bentz"), 404)
    assert car.get("/cars").json["total"] > 0
    assert car.delete("/cars").status_code == 204
    assert car.get("/cars").json["total"] == 0
    assert car.delete("/cars").status_code == 204


@pytest.mark.parametrize("path", ["/cars", "/cars/bentz", E_CLASS])
def test_a_change_with_a_parameter_is_refused_and_changes_nothing(car: FlaskClient, path: str) -> None:
    before = car.get("/cars").headers["ETag"]
    assert problem(car.delete(f"{path}?min_rating=9"), 400)["errors"][0]["field"] == "min_rating"
    assert car.get("/cars").headers["ETag"] == before


# -- bad bodies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1", b"\xff\xfe", b'{"price": NaN}', b'{"price": 1e99999999999999999999}', b"[" * 100_000],
    ids=["empty", "brace", "list", "not UTF-8", "NaN", "out of range", "too deep"],
)
def test_a_body_that_is_no_json_is_a_400(refusing_car: FlaskClient, body: bytes) -> None:
    problem(refusing_car.post("/cars", data=body, content_type="application/json"), 400)


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/xml"])
def test_a_body_of_another_type_is_a_415_that_says_what_is_taken(
    refusing_car: FlaskClient, content_type: str | None
) -> None:
    refused = refusing_car.post("/cars", data=b"{}", content_type=content_type)
    problem(refused, 415)
    assert refused.headers["Accept"] == "application/json"


def test_a_body_over_the_limit_is_a_413_that_names_it(refusing_car: FlaskClient) -> None:
    for over in (1, 2, 1024 * 1024):
        body = b" " * (1024 * 1024 + over)
        refused = problem(refusing_car.post("/cars", data=body, content_type="application/json"), 413)
        assert "1048576" in refused["detail"]


@pytest.mark.parametrize("document", [[], "x", 1, None, True])
def test_a_body_that_is_no_object_is_a_422(refusing_car: FlaskClient, document: Any) -> None:
    body = json.dumps(document)
    refused = refusing_car.post("/cars", data=body, content_type="application/json")
    assert problem(refused, 422)["errors"][0]["field"] == "body"


def test_all_that_is_wrong_is_told_at_once(refusing_car: FlaskClient) -> None:
    document = {"maker": "ACME", "price": -1, "engine": {"fuel": "steam"}, "colour": "red"}
    errors = problem(refusing_car.post("/cars", json=document), 422)["errors"]
    fields = {error["field"] for error in errors}
    assert fields == {"maker", "price", "colour", "model", "release_date", "engine.fuel", "engine.power_kw"}


def test_a_long_value_is_shortened_in_the_answer(refusing_car: FlaskClient) -> None:
    errors = problem(refusing_car.post("/cars", json=a_car(maker="A" * 10_000)), 422)["errors"]
    assert len(errors[0]["value"]) < 100
