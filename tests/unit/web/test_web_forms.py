"""What the forms make of the text a person typed."""

from __future__ import annotations

import datetime

import pytest
from fakecar import BENTZ
from werkzeug.datastructures import MultiDict

from services.web.catalogue import Car, Complaint, MakerCount
from services.web.forms import CarForm, FilterForm, QuoteForm, complain

TYPED = {
    "maker": "bentz",
    "model": "e-class",
    "name": "Bentz E-Class",
    "price": "62000",
    "currency": "eur",
    "rating": "9.8",
    "release_date": "2021-03-15",
    "fuel": "petrol",
    "displacement_cc": "1991",
    "power_kw": "150",
    "cylinders": "4",
    "options": "sunroof\r\n\r\n heated-seats \r\nhead-up-display",
    "description": BENTZ["description"],
}


def form(**changes: str) -> CarForm:
    return CarForm(MultiDict(TYPED | changes))


def test_what_is_typed_becomes_the_document_of_car() -> None:
    filled = form()
    assert filled.validate(), filled.errors
    assert filled.car() == BENTZ


def test_a_car_fills_the_form_and_comes_back_the_same() -> None:
    filled = CarForm.of(Car.from_json(BENTZ))
    assert filled.car() == BENTZ
    assert filled.release_date.data == datetime.date(2021, 3, 15)


def test_what_is_left_empty_is_left_out() -> None:
    filled = form(name="", rating="", fuel="", displacement_cc="", power_kw="", cylinders="", options="")
    assert filled.validate(), filled.errors
    document = filled.car()
    assert "name" not in document
    assert document["rating"] is None
    assert document["engine"] is None
    assert document["options"] == []


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("maker", "", "such as bentz"),
        ("maker", "Big Maker", "try “big-maker”"),
        ("model", "e_class", "try “e-class”"),
        ("model", "***", "such as e-class"),
        ("price", "", "Give the price"),
        ("price", "12x", "“12x” is not a whole number"),
        ("price", "-1", "give 0 to 1,000,000,000,000"),
        ("price", "9" * 5000, "out of range"),
        ("currency", "EURO", "three letters"),
        ("rating", "10.1", "“10.1” is not a rating"),
        ("rating", "9.85", "“9.85” is not a rating"),
        ("rating", "NaN", "“NaN” is not a rating"),
        ("rating", "1e999999999", "is not a rating"),
        ("release_date", "", "such as 2021-03-15"),
        ("release_date", "2021-02-30", "“2021-02-30” is not a date"),
        ("fuel", "coal", "“coal” is not offered: give one of petrol"),
        ("fuel", "", "Give the fuel too"),
        ("power_kw", "", "Give the power too"),
        ("power_kw", "0", "give 1 to 10,000"),
        ("cylinders", "four", "“four” is not a whole number"),
        ("options", "Sun Roof", "“Sun Roof” is no name of an option"),
        ("description", "x" * 4001, "4000"),
    ],
)
def test_a_slip_is_named_once_beside_its_field_with_the_remedy(field: str, text: str, said: str) -> None:
    filled = form(**{field: text})
    assert not filled.validate()
    assert list(filled.errors) == [field]
    assert len(filled.errors[field]) == 1
    assert said in filled.errors[field][0]  # type: ignore[index]


def test_what_was_typed_comes_back_as_it_was_typed() -> None:
    filled = form(price="12x", rating="good", options="A\r\nB")
    filled.validate()
    assert filled.price._value() == "12x"
    assert filled.rating._value() == "good"
    assert filled.options._value() == "A\nB"


def test_a_comma_may_stand_for_the_point_of_a_rating() -> None:
    filled = form(rating="9,8")
    assert filled.validate()
    assert filled.car()["rating"] == 9.8


@pytest.mark.parametrize(
    ("field", "beside"),
    [
        ("engine.power_kw", "power_kw"),
        ("engine/fuel", "fuel"),
        ("options[2]", "options"),
        ("/price", "price"),
        ("rating", "rating"),
    ],
)
def test_a_complaint_of_car_stands_beside_the_field_it_names(field: str, beside: str) -> None:
    filled = form()
    assert filled.validate()
    assert complain(filled, [Complaint(field, "not like this")]) == []
    assert filled[beside].errors == ["not like this"]


def test_a_complaint_about_no_field_of_the_form_is_not_lost() -> None:
    assert complain(form(), [Complaint("cursor", "damaged"), Complaint("", "no")]) == [
        "cursor: damaged",
        "no",
    ]


def test_filters_reach_car_in_its_spelling() -> None:
    filled = FilterForm(
        MultiDict({"maker": "", "min_rating": "9,5", "release_date": " 2021 ", "sort": "-price"})
    )
    assert filled.validate(), filled.errors
    assert filled.filters() == {"min_rating": "9.5", "release_date": "2021", "sort": "-price"}


@pytest.mark.parametrize(
    ("field", "text"), [("min_rating", "11"), ("release_date", "21"), ("sort", "colour")]
)
def test_a_filter_that_cannot_be_used_is_named(field: str, text: str) -> None:
    filled = FilterForm(MultiDict({field: text}))
    assert not filled.validate()
    assert f"“{text}”" in filled.errors[field][0]  # type: ignore[index]


def test_the_chosen_maker_stays_offered_when_it_has_no_car_left() -> None:
    filled = FilterForm(MultiDict({"maker": "gone"}))
    filled.offer([MakerCount("bentz", 4)])
    assert [value for value, *_ in filled.maker.iter_choices()] == ["", "bentz", "gone"]


@pytest.mark.parametrize("text", ["", "abc", "-5", "1.5", "1_000", "٣"])
def test_a_discount_that_is_no_whole_number_is_refused(text: str) -> None:
    assert not QuoteForm(MultiDict({"discount": text})).validate()
