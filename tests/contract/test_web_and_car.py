"""The client of `web` and the service `car` mean the same: asked over HTTP, on the real catalogue."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import carapps
import pytest
from werkzeug.serving import make_server

from services.car.clients import MinusError
from services.web import asking
from services.web.catalogue import PAGE_SIZE
from services.web.clients import CarClient
from services.web.forms import CarForm

TOKEN = "the-token-of-both"


@pytest.fixture
def minus() -> carapps.FakeMinus:
    return carapps.FakeMinus()


@pytest.fixture
def address(tmp_path: Path, minus: carapps.FakeMinus) -> Iterator[str]:
    with carapps.car_app(f"sqlite:///{tmp_path}/car.sqlite3", minus=minus, write_token=TOKEN) as app:
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def car(address: str) -> CarClient:
    return CarClient(address, token=TOKEN)


def test_the_pages_lead_through_every_car_once(car: CarClient) -> None:
    filters = {"limit": str(PAGE_SIZE), "sort": "-rating"}
    page = car.cars(filters)
    seen = list(page.cars)
    while page.next_cursor:
        page = car.cars(filters | {"cursor": page.next_cursor})
        seen += page.cars
    assert len(seen) == page.total == sum(maker.count for maker in page.makers)
    assert len({(each.maker, each.model) for each in seen}) == page.total > PAGE_SIZE


def test_a_car_that_is_opened_and_saved_is_the_same_car(car: CarClient) -> None:
    """For every example: what the form shows and sends back loses nothing."""
    page = car.cars({"limit": "100"})
    for each in page.cars:
        found = car.car(each.maker, each.model)
        assert car.replace(each.maker, each.model, CarForm.of(found.car).car(), found.etag) == found.car


def test_a_quote_is_worked_out(car: CarClient) -> None:
    assert car.quote("bentz", "e-class", 500).total == 61500


def test_without_minus_there_is_no_quote_and_the_car_says_who_is_away(
    car: CarClient, minus: carapps.FakeMinus
) -> None:
    minus.error = MinusError("gone")
    with pytest.raises(asking.Away, match="minus") as caught:
        car.quote("bentz", "e-class", 500)
    assert caught.value.retry_after
    assert car.car("bentz", "e-class").car.price == 62000


def test_a_discount_above_the_price_is_a_complaint_about_it(car: CarClient) -> None:
    with pytest.raises(asking.Rejected) as caught:
        car.quote("bentz", "e-class", 62001)
    assert [each.field for each in caught.value.errors] == ["discount"]


def test_a_lost_update_is_refused(car: CarClient) -> None:
    found = car.car("bentz", "e-class")
    document = CarForm.of(found.car).car()
    car.replace("bentz", "e-class", document | {"price": 1}, found.etag)
    with pytest.raises(asking.Changed):
        car.replace("bentz", "e-class", document | {"price": 2}, found.etag)
    with pytest.raises(asking.Changed):
        car.delete("bentz", "e-class", found.etag)
    assert car.car("bentz", "e-class").car.price == 1
    car.delete("bentz", "e-class", car.car("bentz", "e-class").etag)
    with pytest.raises(asking.NotFound):
        car.car("bentz", "e-class")


def test_a_deleted_car_is_not_brought_back_by_an_edition(car: CarClient) -> None:
    found = car.car("bentz", "e-class")
    car.delete("bentz", "e-class", found.etag)
    with pytest.raises(asking.Changed):
        car.replace("bentz", "e-class", CarForm.of(found.car).car(), found.etag)


def test_adding_a_car_twice_is_refused(car: CarClient) -> None:
    document = carapps.a_car(currency="EUR")
    assert car.create(document).name == "Acme One"
    with pytest.raises(asking.Exists):
        car.create(document)


def test_complaints_name_the_fields_of_the_form(car: CarClient) -> None:
    broken = carapps.a_car(price=-1, engine={"fuel": "coal", "power_kw": 0}, options=["Sun Roof"])
    with pytest.raises(asking.Rejected) as caught:
        car.create(broken)
    assert {each.field for each in caught.value.errors} == {
        "price",
        "engine.fuel",
        "engine.power_kw",
        "options",
    }


def test_a_damaged_cursor_is_a_complaint(car: CarClient) -> None:
    with pytest.raises(asking.Rejected) as caught:
        car.cars({"cursor": "junk"})
    assert [each.field for each in caught.value.errors] == ["cursor"]


def test_with_the_wrong_token_nothing_changes(address: str) -> None:
    stranger = CarClient(address, token="another")
    with pytest.raises(asking.Misbehaved, match="CAR_WRITE_TOKEN"):
        stranger.create(carapps.a_car(currency="EUR"))
