"""The values behind the pages: reading cars, paging, comparing, writing money."""

from __future__ import annotations

from typing import Any

import pytest
from fakecar import BENTZ

from services.web.catalogue import TRAIL, Car, Pager, differences, money


def test_a_car_without_an_engine_can_be_shown() -> None:
    assert Car.from_json(BENTZ | {"engine": None, "rating": None}).engine.fuel is None


@pytest.mark.parametrize("broken", [{"price": None}, {"price": "dear"}, {"rating": "good"}])
def test_what_is_no_car_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Car.from_json(BENTZ | broken)


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (62000, "EUR", "€62,000"),
        (0, "USD", "$0"),
        (-500, "EUR", "\N{MINUS SIGN}€500"),
        (1200, "CHF", "CHF\N{NO-BREAK SPACE}1,200"),
    ],
)
def test_money_is_written_as_people_write_it(amount: int, currency: str, text: str) -> None:
    assert money(amount, currency) == text


def walk(pages: int) -> list[Pager]:
    """The pagers of a walk through `pages` pages, made from the links as a browser follows them."""
    walked = [Pager(1, "", (), "c2", pages * 12)]
    for number in range(2, pages + 1):
        step = walked[-1].following
        assert step
        following = f"c{number + 1}" if number < pages else None
        walked.append(Pager(step["page"], step["cursor"], tuple(step["back"]), following, pages * 12))
    return walked


def test_the_way_back_leads_through_the_same_pages() -> None:
    walked = walk(5)
    for pager, before in zip(walked[:0:-1], walked[-2::-1], strict=True):
        step = pager.previous
        assert step is not None
        assert step.get("cursor", "") == before.cursor
        assert tuple(step.get("back", ())) == before.trail
        assert step.get("page", 1) == before.number


def test_the_first_page_has_no_previous_and_the_last_no_next() -> None:
    walked = walk(3)
    assert walked[0].previous is None
    assert walked[-1].following is None


def test_an_address_remembers_only_so_many_pages() -> None:
    deep = walk(TRAIL + 10)[-1]
    assert len(deep.trail) == TRAIL
    while step := deep.previous:
        deep = Pager(step["page"], step["cursor"], tuple(step["back"]), "c", 999)
    assert deep.number > 2
    assert deep.previous is None, "where the trail ends, the first page is not claimed to be the one before"


def test_the_number_of_pages_is_never_less_than_the_page_shown() -> None:
    assert Pager(4, "c", (), None, total=13).pages == 4
    assert Pager(1, "", (), None, total=0).pages == 1


def test_differences_name_what_changed() -> None:
    rows = differences({"Price": "1", "Name": "A"}, {"Price": "2", "Name": "A"})
    assert [(row.label, row.changed) for row in rows] == [("Price", True), ("Name", False)]
