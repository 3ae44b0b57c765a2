"""Reservations of `car`, on both databases: safe to repeat, to cancel twice, to cancel before they come."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import carapps
import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from services.car import reservations

E_CLASS = "/cars/bentz/e-class/reservations"


def reserve(client: FlaskClient, reservation: str = "order-1", address: str = E_CLASS) -> int:
    return client.post(address, json={"id": reservation}).status_code


def state(client: FlaskClient, reservation: str = "order-1") -> str:
    return str(client.get(f"{E_CLASS}/{reservation}").get_json()["state"])


def test_a_reservation_is_made_once_however_often_it_is_asked_for(car: FlaskClient) -> None:
    first = car.post(E_CLASS, json={"id": "order-1"})
    assert (first.status_code, first.headers["Location"]) == (201, f"{E_CLASS}/order-1")
    again = car.post(E_CLASS, json={"id": "order-1"})
    assert (again.status_code, again.get_json()) == (200, first.get_json())
    assert car.get(first.headers["Location"]).get_json() == first.get_json()
    assert first.get_json()["state"] == "active"


def test_cancelling_is_for_good_and_may_be_repeated(car: FlaskClient) -> None:
    reserve(car)
    assert [car.delete(f"{E_CLASS}/order-1").status_code for _ in range(2)] == [204, 204]
    assert state(car) == "cancelled"
    refused = car.post(E_CLASS, json={"id": "order-1"})
    assert refused.status_code == 409
    assert "cancelled" in refused.get_json()["detail"]
    assert state(car) == "cancelled"


def test_a_cancellation_that_overtakes_its_reservation_wins(car: FlaskClient) -> None:
    assert car.delete(f"{E_CLASS}/order-1").status_code == 204
    assert reserve(car) == 409
    assert state(car) == "cancelled"


def test_a_cancelled_id_is_forgotten_in_time_and_an_active_one_never(
    car: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("order-1", "order-2", "order-3"):
        reserve(car, name)
    for name in ("order-1", "order-1", "order-2"):
        car.delete(f"{E_CLASS}/{name}")
    assert [state(car, name) for name in ("order-1", "order-2")] == ["cancelled"] * 2
    later = time.time() + reservations.REMEMBERED + 60
    monkeypatch.setattr(reservations, "time", SimpleNamespace(time=lambda: later))
    assert car.delete(f"{E_CLASS}/order-2").status_code == 204
    assert car.get(f"{E_CLASS}/order-1").status_code == 404
    assert [state(car, name) for name in ("order-2", "order-3")] == ["cancelled", "active"]


def test_a_cancellation_holds_for_a_car_that_is_gone(car: FlaskClient) -> None:
    reserve(car)
    car.delete("/cars/bentz/e-class")
    assert car.delete(f"{E_CLASS}/order-1").status_code == 204
    assert state(car) == "cancelled"


def test_a_car_that_is_not_there_is_not_reserved(car: FlaskClient) -> None:
    assert reserve(car, address="/cars/bentz/no-such/reservations") == 404
    assert car.get("/cars/bentz/no-such/reservations/order-1").status_code == 404


def test_an_id_of_another_car_is_neither_reserved_nor_read_nor_cancelled(car: FlaskClient) -> None:
    reserve(car)
    other = "/cars/bentz/a-class/reservations"
    car.put("/cars/bentz/a-class", json=carapps.a_car(maker="bentz", model="a-class"))
    assert reserve(car, address=other) == 409
    assert car.get(f"{other}/order-1").status_code == 404
    assert car.delete(f"{other}/order-1").status_code == 404
    assert state(car) == "active"


@pytest.mark.parametrize("body", [{}, {"id": "No Slug"}, {"id": 1}, {"id": "a", "car": "b"}, []])
def test_what_is_no_id_is_refused_by_name(car: FlaskClient, body: object) -> None:
    refused = car.post(E_CLASS, json=body)
    assert refused.status_code == 422
    assert refused.get_json()["errors"]


def test_a_reservation_leaves_the_catalogue_as_it_is(car: FlaskClient) -> None:
    before = car.get("/cars").headers["ETag"]
    reserve(car)
    assert car.get("/cars").headers["ETag"] == before


def test_of_many_at_once_one_makes_the_reservation(car_app: Flask) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: reserve(car_app.test_client()), range(16)))
    assert sorted(answers) == [200] * 15 + [201]


def test_whoever_is_first_of_a_reservation_and_its_cancellation_it_ends_cancelled(car_app: Flask) -> None:
    def both(number: int) -> str:
        client, reservation = car_app.test_client(), f"order-{number}"
        with ThreadPoolExecutor(2) as threads:
            made = threads.submit(reserve, car_app.test_client(), reservation)
            gone = threads.submit(client.delete, f"{E_CLASS}/{reservation}")
        assert gone.result().status_code == 204
        assert made.result() in (201, 409)
        return state(client, reservation)

    assert {both(number) for number in range(8)} == {"cancelled"}


def test_changes_need_the_write_token(database_url: str) -> None:
    with carapps.car_app(database_url, write_token="t0ken") as app:
        client = app.test_client()
        assert reserve(client) == 401
        assert client.delete(f"{E_CLASS}/order-1").status_code == 401
        allowed = {"Authorization": "Bearer t0ken"}
        assert client.post(E_CLASS, json={"id": "order-1"}, headers=allowed).status_code == 201


def test_the_table_comes_to_a_database_that_was_made_before_it(database_url: str) -> None:
    with carapps.car_app(database_url) as app:
        before = app.test_client().get("/cars").get_json()["total"]
    _take_the_table_away(database_url)
    with carapps.car_app(database_url) as app:
        client = app.test_client()
        assert client.get("/cars").get_json()["total"] == before
        assert reserve(client) == 201


def _take_the_table_away(url: str) -> None:
    back = ("DROP TABLE reservations", "UPDATE alembic_version SET version_num = '0001'")
    if url.startswith("sqlite"):
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            for statement in back:
                connection.exec_driver_sql(statement)
        engine.dispose()
        return
    with psycopg.connect(url) as server:
        for statement in back:
            server.execute(statement)
