"""Cars as documents: what is taken, what is refused, and with which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from carapps import a_car

from services.car import documents
from services.car.catalogue import Invalid


def read(document: Any, *address: str) -> Any:
    """The car in `document` after a journey as bytes, as a client sends it."""
    return documents.read_car(documents.load(json.dumps(document).encode()), *address)


def complaints(document: Any, *address: str) -> dict[str, str]:
    """What is said of each field of a document that must be refused."""
    with pytest.raises(Invalid) as refused:
        read(document, *address)
    return {error.field: error.detail for error in refused.value.errors}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("maker", "ACME"), ("maker", "a_b"), ("maker", "-a"), ("maker", "a" * 61), ("maker", 1),
        ("maker", ""),
        ("model", "e class"), ("model", "modèle"), ("model", None), ("model", "a.json"),
        ("name", ""), ("name", "  "), ("name", "x" * 101), ("name", "a\x00b"), ("name", "\ud800"),
        ("name", None),
        ("price", -1), ("price", 1.5), ("price", "62000"), ("price", True), ("price", None),
        ("price", 10**12 + 1),
        ("price", 10**400),
        ("currency", "eur"), ("currency", "EURO"), ("currency", 978), ("currency", None),
        ("rating", -0.1), ("rating", 10.1), ("rating", 9.85), ("rating", "9.8"), ("rating", True),
        ("release_date", "2021"), ("release_date", "2021-02-29"), ("release_date", "20210315"),
        ("release_date", "2021-03-15T00:00:00"), ("release_date", 2021), ("release_date", None),
        ("options", "sunroof"), ("options", ["Sunroof"]), ("options", ["a", "a"]), ("options", [1]),
        ("options", ["a"] * 51), ("options", None),
        ("description", 1), ("description", "x" * 4001), ("description", "a\x00"), ("description", None),
        ("engine", "petrol"), ("engine", []),
        ("colour", "red"), ("ratng", 5), ("", 1),
    ],
)  # fmt: skip
def test_a_bad_field_is_refused_by_its_name(field: str, value: Any) -> None:
    found = complaints(a_car(**{field: value}))
    assert list(found) == [field]
    assert found[field]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fuel", "steam"),
        ("power_kw", 0),
        ("power_kw", 1.5),
        ("cylinders", -4),
        ("displacement_cc", "2000"),
        ("x", 1),
    ],
)
def test_a_bad_field_of_an_engine_is_named_with_its_place(field: str, value: Any) -> None:
    engine = {"fuel": "petrol", "power_kw": 1, field: value}
    assert list(complaints(a_car(engine=engine))) == [f"engine.{field}"]


@pytest.mark.parametrize(("given", "kept"), [(62000.0, 62000), (0, 0), (10**12, 10**12)])
def test_prices_are_whole_numbers_also_when_written_with_a_fraction(given: Any, kept: int) -> None:
    assert read(a_car(price=given)).price == kept


@pytest.mark.parametrize(("given", "kept"), [(0, 0), (10, 10), (9.8, 9.8), (0.1 + 0.2, 0.3), (None, None)])
def test_ratings_have_one_decimal(given: Any, kept: Any) -> None:
    assert documents.car_document(read(a_car(rating=given)))["rating"] == kept


@pytest.mark.parametrize("number", ["1e400", "1e999999", "1" * 5000 + ".0"])
def test_a_number_beyond_every_range_is_refused_without_being_worked_out(number: str) -> None:
    body = json.dumps(a_car()).replace("1000", number).encode()
    with pytest.raises(Invalid, match="whole number"):
        documents.read_car(documents.load(body))


def test_a_whole_number_of_too_many_digits_is_no_json() -> None:
    with pytest.raises(ValueError, match="digits"):
        documents.load(b"1" * 5000)


def test_the_address_stands_for_the_fields_it_gives() -> None:
    document = {"price": 1, "release_date": "2020-01-01"}
    assert read(document, "acme", "one").name == "Acme One"
    assert complaints({**document, "model": "two"}, "acme", "one").keys() == {"model"}


def test_the_same_car_has_the_same_bytes_and_so_the_same_tag() -> None:
    first, second = read(a_car(price=62000, rating=9.8)), read(a_car(rating=9.80, price=62000.0))
    assert documents.dump(documents.car_document(first)) == documents.dump(documents.car_document(second))


def test_parts_of_a_tag_do_not_run_into_each_other() -> None:
    assert documents.tag(b"ab", b"c") != documents.tag(b"a", b"bc")


@pytest.mark.parametrize("value", ["x" * 1000, {"a": "x" * 1000}, ["x"] * 1000, 10**4000, "\ud800"])
def test_a_refused_value_is_shown_short_and_as_json(value: Any) -> None:
    with pytest.raises(Invalid) as refused:
        documents.read_car(a_car(maker=value))
    shown = json.dumps(refused.value.errors[0].value, ensure_ascii=False).encode()
    assert len(shown) < 400


def test_a_car_without_a_name_has_one_that_a_name_may_be() -> None:
    document = {field: value for field, value in a_car().items() if field != "name"}
    assert read({**document, "maker": "a" * 60, "model": "b" * 60}).name == "A" + "a" * 59 + " B" + "b" * 38
