"""Filters, order and pages of `car`, on SQLite and on PostgreSQL."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from carapps import a_car
from flask.testing import FlaskClient

from services.car import documents, queries
from services.car.catalogue import Query

SORTS = [
    f"{sign}{key}"
    for key in ("maker", "model", "name", "price", "rating", "release_date")
    for sign in ("", "-")
]


def pages(car: FlaskClient, address: str | None) -> Iterator[list[dict[str, Any]]]:
    """The pages from `address` on, as a client follows them."""
    while address:
        response = car.get(address)
        assert response.status_code == 200, response.get_data(as_text=True)
        yield response.json["cars"]
        address = response.json["next"]
        link = response.headers.get("Link")
        assert link == (f'<{address}>; rel="next"' if address else None)


def walk(car: FlaskClient, address: str) -> list[dict[str, Any]]:
    return [found for page in pages(car, address) for found in page]


def key(found: dict[str, Any]) -> tuple[str, str]:
    return found["maker"], found["model"]


@pytest.mark.parametrize("sort", SORTS)
def test_pages_hold_every_car_once_in_the_order_asked_for(car: FlaskClient, sort: str) -> None:
    cars = walk(car, f"/cars?sort={sort}&limit=5")
    assert len(cars) == len({key(found) for found in cars}) == car.get("/cars").json["total"]
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    values = [found[name] for found in cars if found[name] is not None]
    assert values == sorted(values, reverse=descending)


@pytest.mark.parametrize("sort", ["rating", "-rating"])
def test_unrated_cars_come_last_in_both_directions_and_across_pages(car: FlaskClient, sort: str) -> None:
    ratings = [found["rating"] for found in walk(car, f"/cars?sort={sort}&limit=3")]
    unrated = ratings.count(None)
    assert unrated >= 2
    assert ratings[-unrated:] == [None] * unrated


@pytest.mark.parametrize("sort", ["price", "-price", "-rating", "maker"])
def test_cars_with_equal_values_are_neither_lost_nor_repeated(bare_car: FlaskClient, sort: str) -> None:
    cars = [{"model": f"m{n}", "price": 7, "release_date": "2020-01-01"} for n in range(9)]
    bare_car.put("/cars/acme", json={"cars": cars})
    found = [found["model"] for found in walk(bare_car, f"/cars?sort={sort}&limit=2")]
    assert found == [f"m{n}" for n in range(9)]


def test_cars_that_come_and_go_between_pages_neither_repeat_nor_hide_others(bare_car: FlaskClient) -> None:
    cars = [{"model": f"m{n}", "price": n, "release_date": "2020-01-01"} for n in range(2, 12)]
    bare_car.put("/cars/acme", json={"cars": cars})
    followed = pages(bare_car, "/cars?sort=price&limit=3")
    seen = [found["model"] for found in next(followed)]
    bare_car.put("/cars/acme/m0", json={"price": 0, "release_date": "2020-01-01"})  # before what was seen
    bare_car.delete("/cars/acme/m4")  # the very car that the cursor names
    bare_car.delete("/cars/acme/m6")  # one that is to come
    for page in followed:
        seen += [found["model"] for found in page]
    assert seen == ["m2", "m3", "m4", "m5", "m7", "m8", "m9", "m10", "m11"]


def test_names_sort_by_code_point_on_both_databases(bare_car: FlaskClient) -> None:
    names = ["Zeta", "alpha", "Äther", "a b", "a-b", "_x"]
    for number, name in enumerate(names):
        bare_car.post("/cars", json=a_car(model=f"m{number}", name=name))
    assert [found["name"] for found in walk(bare_car, "/cars?sort=name&limit=2")] == sorted(names)


QUESTIONS = ["min_rating=9.0", "maker=bentz", "release_date=2021", "release_date=2021-03-15"]


@pytest.mark.parametrize("question", QUESTIONS)
def test_filters_hold_on_every_page(car: FlaskClient, question: str) -> None:
    everything = walk(car, "/cars?limit=100")
    name, _, value = question.partition("=")

    def matches(found: dict[str, Any]) -> bool:
        if name == "min_rating":
            return found["rating"] is not None and found["rating"] >= float(value)
        return bool(found[name].startswith(value))

    expected = [key(found) for found in everything if matches(found)]
    assert expected
    assert [key(found) for found in walk(car, f"/cars?{question}&limit=1")] == expected
    assert car.get(f"/cars?{question}").json["total"] == len(expected)


def test_the_filters_of_the_source_material(car: FlaskClient) -> None:
    assert ("bentz", "e-class") in map(key, car.get("/cars?min_rating=9.8").json["cars"])
    assert ("bentz", "e-class") in map(key, car.get("/cars?release_date=2021").json["cars"])


def test_a_year_begins_and_ends_where_it_does(bare_car: FlaskClient) -> None:
    for day in ("2020-12-31", "2021-01-01", "2021-12-31", "2022-01-01"):
        bare_car.post("/cars", json=a_car(model=f"m-{day}", release_date=day))
    found = [found["release_date"] for found in bare_car.get("/cars?release_date=2021").json["cars"]]
    assert found == ["2021-01-01", "2021-12-31"]


def test_makers_are_counted_as_if_no_maker_were_asked_for(car: FlaskClient) -> None:
    everywhere = car.get("/cars?min_rating=9").json
    of_one = car.get("/cars?min_rating=9&maker=bentz").json
    assert of_one["makers"] == everywhere["makers"]
    assert {"maker": "bentz", "count": of_one["total"]} in of_one["makers"]


def test_a_maker_without_cars_gives_an_empty_list_as_a_filter(car: FlaskClient) -> None:
    assert car.get("/cars?maker=nobody").json["cars"] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("maker", "Bentz"), ("maker", ""),
        ("min_rating", "nine"), ("min_rating", ""), ("min_rating", "10.1"), ("min_rating", "-1"),
        ("min_rating", "nan"), ("min_rating", "1_0"), ("min_rating", "\uff19"),
        ("release_date", "21"), ("release_date", "0000"), ("release_date", "2021-02-30"),
        ("release_date", "2021-3"), ("release_date", "2021-13-01"),
        ("sort", "colour"), ("sort", "--price"), ("sort", "price desc"), ("sort", ""),
        ("limit", "0"), ("limit", "101"), ("limit", "-1"), ("limit", "ten"), ("limit", "1e1"),
        ("limit", "9" * 5000),
        ("cursor", ""), ("cursor", "x"), ("cursor", "AAAA"), ("cursor", "\xe9" * 999), ("page", "2"),
    ],
)  # fmt: skip
def test_a_bad_parameter_is_a_400_that_names_it(refusing_car: FlaskClient, name: str, value: str) -> None:
    refused = refusing_car.get("/cars", query_string={name: value})
    assert refused.status_code == 400
    assert [error["field"] for error in refused.json["errors"]] == [name]
    assert refused.json["errors"][0]["detail"]


def test_a_repeated_parameter_is_a_400(refusing_car: FlaskClient) -> None:
    refused = refusing_car.get("/cars?maker=bentz&maker=auriga")
    assert refused.status_code == 400
    assert refused.json["errors"][0]["field"] == "maker"


def test_the_maker_of_the_address_cannot_be_asked_for_again(refusing_car: FlaskClient) -> None:
    assert refusing_car.get("/cars/bentz?maker=auriga").status_code == 400


def test_pages_of_a_maker_follow_each_other_too(car: FlaskClient) -> None:
    cars = walk(car, "/cars/bentz?sort=-price&limit=1")
    assert len(cars) == car.get("/cars/bentz").json["total"]


def test_the_size_of_a_page_may_change_on_the_way(car: FlaskClient) -> None:
    first = car.get("/cars?limit=3").json
    rest = car.get(first["next"].replace("limit=3", "limit=100")).json
    assert len(first["cars"]) + len(rest["cars"]) == first["total"]


def cursor(car: FlaskClient, question: str = "sort=-rating") -> str:
    following: str = car.get(f"/cars?{question}&limit=2").json["next"]
    return following.rpartition("cursor=")[2]


def test_a_cursor_with_any_character_changed_is_refused(refusing_car: FlaskClient) -> None:
    given = cursor(refusing_car)
    for place, character in enumerate(given):
        changed = given[:place] + ("A" if character != "A" else "B") + given[place + 1 :]
        assert refusing_car.get(f"/cars?sort=-rating&cursor={changed}").status_code == 400, changed
    assert refusing_car.get(f"/cars?sort=-rating&cursor={given[:-1]}").status_code == 400
    assert refusing_car.get(f"/cars?sort=-rating&cursor={given}").status_code == 200


@pytest.mark.parametrize("question", ["sort=rating", "sort=-rating&maker=bentz", "limit=2"])
def test_a_cursor_of_another_question_is_refused(car: FlaskClient, question: str) -> None:
    assert car.get(f"/cars?{question}&cursor={cursor(car)}").status_code == 400


@pytest.mark.parametrize(
    "key", [[], [{}, "a", "b"], ["x" * 200, "a", "b"], [10**30, "a", "b"], [1, "\x00", "b"], 7]
)
def test_a_forged_cursor_is_refused_before_the_database_sees_it(refusing_car: FlaskClient, key: Any) -> None:
    query = Query(sort="rating")
    body = documents.dump(key)
    forged = base64.urlsafe_b64encode(queries._checksum(body, query) + body).decode().rstrip("=")
    assert refusing_car.get(f"/cars?sort=rating&cursor={forged}").status_code == 400
