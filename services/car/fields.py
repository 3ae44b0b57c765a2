"""The fields of a car's document: one small parser for each kind of value.

A parser turns a JSON value into a domain value, or raises ValueError with what to give instead.
Numbers with a fraction are expected as Decimal.
"""

from __future__ import annotations

import datetime
import decimal
import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from services.car import catalogue

Parse = Callable[[Any], Any]

SHOWN = 80
"""Characters of a refused value that an answer quotes."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CURRENCY = re.compile(r"[A-Z]{3}")


def shown(value: Any) -> Any:
    """A refused value as an answer quotes it: short, and always JSON."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    if isinstance(value, decimal.Decimal):
        text = str(value)
    elif isinstance(value, str):
        text = value.encode("utf-8", "replace").decode("utf-8")
    else:
        text = json.dumps(value, default=str)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _whole(low: int, high: int) -> Parse:
    def parse(value: Any) -> int:
        number = isinstance(value, int | decimal.Decimal) and not isinstance(value, bool)
        # The range comes first: int() of a Decimal such as 1e999999 would fill the memory.
        if not number or not low <= value <= high or value != int(value):
            raise ValueError(f"give a whole number from {low} to {high}")
        return int(value)

    return parse


def _rating(value: Any) -> int:
    if isinstance(value, int | decimal.Decimal) and not isinstance(value, bool) and 0 <= value <= 10:
        tenths = decimal.Decimal(value) * catalogue.RATING_STEPS
        # Binary arithmetic makes 0.30000000000000004 of 0.1 + 0.2: clients mean 0.3.
        if abs(tenths - round(tenths)) < decimal.Decimal("1e-9"):
            return round(tenths)
    raise ValueError("give a number from 0 to 10 with at most one decimal, or null")


def _text(low: int, high: int, *, lines: bool = False) -> Parse:
    def parse(value: Any) -> str:
        if not isinstance(value, str) or not low <= len(value) <= high or (low and not value.strip()):
            raise ValueError(
                f"give a text of {low} to {high} characters" + (", not only blanks" if low else "")
            )
        for character in value:
            kind = unicodedata.category(character)
            if kind in ("Cc", "Cs") and not (lines and character in "\n\t\r"):
                raise ValueError(f"leave out the control character U+{ord(character):04X}")
        return value

    return parse


def slug(value: Any) -> str:
    """Take what can stand in an address: a maker, a model, the id of a reservation."""
    if isinstance(value, str) and catalogue.is_slug(value):
        return value
    raise ValueError(
        f"give up to {catalogue.MAX_SLUG} lower-case letters and digits, single hyphens between, e.g. e-class"
    )


def same(given: str) -> Parse:
    """Take nothing but `given`: what the path names already."""

    def parse(value: Any) -> str:
        if value != given:
            raise ValueError(f"the address says {given!r}: give the same or leave the field out")
        return given

    return parse


def _currency(value: Any) -> str:
    if isinstance(value, str) and _CURRENCY.fullmatch(value):
        return value
    raise ValueError("give a currency code of three capital letters, e.g. EUR")


def _date(value: Any) -> datetime.date:
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            pass  # 2021-02-30 has the form of a date and is none
    raise ValueError("give a date as YYYY-MM-DD, e.g. 2021-03-15")


def _fuel(value: Any) -> str:
    if isinstance(value, str) and value in catalogue.FUELS:
        return value
    raise ValueError(f"give one of {', '.join(catalogue.FUELS)}")


def _options(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > catalogue.MAX_OPTIONS:
        raise ValueError(f'give a list of at most {catalogue.MAX_OPTIONS} names, e.g. ["sunroof"]')
    for option in value:
        if not isinstance(option, str) or not catalogue.is_slug(option):
            raise ValueError(
                f"{shown(option)!r} is no name of an option: give lower case with hyphens, e.g. heated-seats"
            )
    if len(set(value)) < len(value):
        raise ValueError("the list names an option twice: give each once")
    return tuple(value)


def listed(value: Any) -> list[Any]:
    """Take a list of cars, not too long and not empty."""
    if isinstance(value, list) and 1 <= len(value) <= catalogue.MAX_BATCH:
        return value
    raise ValueError(f"give a list of 1 to {catalogue.MAX_BATCH} cars; DELETE removes a maker")


def last_page(value: Any) -> None:
    """Take nothing where a page of a list says where the next one is."""
    # A page that was read may be sent back, but not as if it were the whole.
    if value is not None:
        raise ValueError("the list is one page of several: give all of the maker's cars and leave next out")


def _object_or_none(value: Any) -> dict[str, Any] | None:
    if value is None or isinstance(value, dict):
        return value
    raise ValueError("give an object or null")


def _or_none(parse: Parse) -> Parse:
    return lambda value: None if value is None else parse(value)


ENGINE: dict[str, Parse] = {
    "fuel": _fuel,
    "power_kw": _whole(1, 10_000),
    "displacement_cc": _or_none(_whole(1, 100_000)),
    "cylinders": _or_none(_whole(1, 100)),
}

CAR: dict[str, Parse] = {
    "maker": slug,
    "model": slug,
    "name": _text(1, catalogue.MAX_NAME),
    "price": _whole(0, catalogue.MAX_PRICE),
    "currency": _currency,
    "rating": _or_none(_rating),
    "release_date": _date,
    "engine": _object_or_none,
    "options": _options,
    "description": _text(0, catalogue.MAX_DESCRIPTION, lines=True),
}
