"""Caching, preconditions, the write token, and writers at the same time: `car` on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import carapps
import pytest
from carapps import a_car
from flask import Flask
from flask.testing import FlaskClient

E_CLASS = "/cars/bentz/e-class"
TAGGED = ("/cars", "/cars?min_rating=9", "/cars/bentz", E_CLASS, f"{E_CLASS}/engine", f"{E_CLASS}/options")
SMALL = {"price": 1, "release_date": "2020-01-01"}

CHANGES: dict[str, tuple[str, str, Any]] = {
    "add": ("POST", "/cars", a_car()),
    "add to maker": ("POST", "/cars/bentz", {"model": "new", **SMALL}),
    "remove all": ("DELETE", "/cars", None),
    "replace maker": ("PUT", "/cars/bentz", {"cars": [{"model": "new", **SMALL}]}),
    "remove maker": ("DELETE", "/cars/bentz", None),
    "put": ("PUT", E_CLASS, SMALL),
    "remove": ("DELETE", E_CLASS, None),
    "put engine": ("PUT", f"{E_CLASS}/engine", {"fuel": "diesel", "power_kw": 1}),
    "put options": ("PUT", f"{E_CLASS}/options", {"options": ["x"]}),
    "put description": ("PUT", f"{E_CLASS}/description", {"description": "x"}),
}


def send(car: FlaskClient, change: tuple[str, str, Any], **headers: str) -> Any:
    method, path, document = change
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return (
        car.open(path, method=method, headers=named, json=document)
        if document
        else car.delete(path, headers=named)
    )


# -- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*TAGGED, f"{E_CLASS}/description", "/openapi.json"])
def test_a_reader_who_has_the_content_is_told_304(car: FlaskClient, path: str) -> None:
    first = car.get(path)
    tag = first.headers["ETag"]
    assert not tag.startswith("W/")
    again = car.get(path, headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    assert again.headers["Cache-Control"] == first.headers["Cache-Control"] == "public, no-cache"
    assert car.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("path", TAGGED)
def test_a_tag_changes_with_the_content_and_comes_back_with_it_only_for_a_car(
    car: FlaskClient, path: str
) -> None:
    tag = car.get(path).headers["ETag"]
    car.put(E_CLASS, json=SMALL)
    car.put(f"{E_CLASS}/engine", json={"fuel": "diesel", "power_kw": 1})
    assert car.get(path).headers["ETag"] != tag


def test_a_change_of_one_maker_leaves_the_tags_of_others(car: FlaskClient) -> None:
    tags = [car.get(path).headers["ETag"] for path in ("/cars/auriga", "/cars/auriga/nova")]
    car.put(E_CLASS, json=SMALL)
    assert [car.get(path).headers["ETag"] for path in ("/cars/auriga", "/cars/auriga/nova")] == tags


def test_a_change_beyond_the_first_page_changes_the_tag_of_the_collection(car: FlaskClient) -> None:
    tag = car.get("/cars?limit=1").headers["ETag"]
    car.delete("/cars/hoshi/zen")
    assert car.get("/cars?limit=1").headers["ETag"] != tag


def test_quotes_are_not_kept_by_caches(car: FlaskClient) -> None:
    assert car.get(f"{E_CLASS}/quote?discount=1").headers["Cache-Control"] == "no-store"


# -- preconditions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_with_the_tag_of_what_is_there_is_made(car: FlaskClient, change: str) -> None:
    tag = car.get(CHANGES[change][1]).headers["ETag"]
    assert send(car, CHANGES[change], If_Match=f'"x", {tag}').status_code in (200, 201, 204)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_with_a_star_is_made_where_there_is_something(car: FlaskClient, change: str) -> None:
    assert send(car, CHANGES[change], If_Match="*").status_code in (200, 201, 204)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("condition", ["stale", "weak", "malformed", "none-match"])
def test_a_change_whose_precondition_fails_is_a_412_and_changes_nothing(
    car: FlaskClient, change: str, condition: str
) -> None:
    tag = car.get(CHANGES[change][1]).headers["ETag"]
    before = car.get("/cars?limit=100")
    headers = {
        "stale": {"If_Match": '"0123"'},
        "weak": {"If_Match": f"W/{tag}"},
        "malformed": {"If_Match": ","},
        "none-match": {"If_None_Match": "*"},
    }
    refused = send(car, CHANGES[change], **headers[condition])
    assert refused.status_code == 412
    assert refused.content_type == "application/problem+json"
    after = car.get("/cars?limit=100")
    assert (after.json, after.headers["ETag"]) == (before.json, before.headers["ETag"])


def test_put_with_if_none_match_star_adds_but_never_replaces(bare_car: FlaskClient) -> None:
    put = ("PUT", "/cars/acme/one", SMALL)
    assert send(bare_car, put, If_None_Match="*").status_code == 201
    assert send(bare_car, put, If_None_Match="*").status_code == 412


@pytest.mark.parametrize("change", ["put", "remove", "replace maker", "remove maker", "add to maker"])
def test_if_match_of_what_is_not_there_is_a_412(bare_car: FlaskClient, change: str) -> None:
    assert send(bare_car, CHANGES[change], If_Match="*").status_code == 412


def test_the_tag_of_a_change_is_the_one_to_change_it_again_with(car: FlaskClient) -> None:
    first = car.put(E_CLASS, json=SMALL)
    second = send(car, ("PUT", E_CLASS, {**SMALL, "price": 2}), If_Match=first.headers["ETag"])
    assert second.status_code == 200
    assert send(car, ("PUT", E_CLASS, SMALL), If_Match=first.headers["ETag"]).status_code == 412


# -- the write token -------------------------------------------------------------------------------


@pytest.mark.parametrize("change", CHANGES)
def test_changes_need_the_write_token_where_one_is_set(database_url: str, change: str) -> None:
    with carapps.car_app(database_url, write_token="s3cret-a") as app:
        car = app.test_client()
        before = car.get("/cars").headers["ETag"]
        missing = send(car, CHANGES[change])
        assert missing.status_code == 401
        assert missing.headers["WWW-Authenticate"].startswith("Bearer ")
        for header in ("Basic czNjcmV0", "Bearer", "Bearer ", "s3cret"):
            assert send(car, CHANGES[change], Authorization=header).status_code == 401, header
        for header in ("Bearer wrong", "Bearer s3cret-a x", "bearer S3CRET-A", "Bearer s3cret-\xe4"):
            refused = send(car, CHANGES[change], Authorization=header)
            assert refused.status_code == 403, header
            assert "s3cret" not in refused.get_data(as_text=True)
        assert car.get("/cars").headers["ETag"] == before
        assert send(car, CHANGES[change], Authorization="bearer s3cret-a").status_code in (200, 201, 204)


# -- at the same time ------------------------------------------------------------------------------


@pytest.fixture
def replicas(car_app: Flask, database_url: str) -> Iterator[list[Flask]]:
    """Two applications on one database, which know nothing of each other, as two processes do."""
    with carapps.car_app(database_url) as second:
        yield [car_app, second]


def at_once(apps: list[Flask], calls: list[Callable[[FlaskClient], Any]]) -> list[int]:
    """The statuses of `calls`, spread over `apps`, each by a thread of its own, all beginning together."""
    barrier = threading.Barrier(len(calls))

    def run(place: int) -> int:
        client = apps[place % len(apps)].test_client()
        barrier.wait(timeout=10)
        return int(calls[place](client).status_code)

    with ThreadPoolExecutor(len(calls)) as threads:
        return sorted(threads.map(run, range(len(calls))))


def test_of_many_who_add_the_same_car_at_once_one_succeeds(replicas: list[Flask]) -> None:
    statuses = at_once(replicas, [lambda client: client.post("/cars", json=a_car())] * 8)
    assert statuses == [201] + [409] * 7


def test_of_many_who_change_the_same_state_at_once_one_succeeds(replicas: list[Flask]) -> None:
    tag = replicas[0].test_client().get(E_CLASS).headers["ETag"]

    def change(price: int) -> Callable[[FlaskClient], Any]:
        document = {**SMALL, "price": price}
        return lambda client: client.put(E_CLASS, json=document, headers={"If-Match": tag})

    assert at_once(replicas, [change(price) for price in range(8)]) == [200] + [412] * 7


def test_changes_of_different_parts_at_once_do_not_undo_each_other(replicas: list[Flask]) -> None:
    engine = {"fuel": "hydrogen", "displacement_cc": None, "power_kw": 77, "cylinders": None}
    calls: list[Callable[[FlaskClient], Any]] = [
        lambda client: client.put(f"{E_CLASS}/engine", json=engine),
        lambda client: client.put(f"{E_CLASS}/options", json={"options": ["x"]}),
        lambda client: client.put(f"{E_CLASS}/description", json={"description": "new"}),
    ]
    assert at_once(replicas, calls) == [200] * 3
    whole = replicas[0].test_client().get(E_CLASS).json
    assert (whole["engine"], whole["options"], whole["description"]) == (engine, ["x"], "new")


def test_readers_see_all_of_a_replaced_maker_or_nothing_of_it(car_app: Flask) -> None:
    cars = [{"model": f"m{n}", **SMALL} for n in range(4)]
    writer = car_app.test_client()
    writer.put("/cars/bentz", json={"cars": cars})
    stop = threading.Event()

    def write() -> None:
        price = 1
        while not stop.is_set():
            price += 1
            writer.put("/cars/bentz", json={"cars": [{**found, "price": price} for found in cars]})

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        try:
            reader = car_app.test_client()
            for _ in range(50):
                page = reader.get("/cars?maker=bentz").json
                assert page["total"] == len(page["cars"]) == 4
                assert len({found["price"] for found in page["cars"]}) == 1
        finally:
            stop.set()
        writing.result(timeout=10)
