"""What the pages show, without Flask: cars, pages of them, and the difference of two versions.

Everything here is a value. A car arrives as the JSON of `car` (prices in whole units of the currency,
ratings from 0 to 10 with one decimal) and is checked on the way in, so that a template meets no surprise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PAGE_SIZE = 12
"""Cars on a page of the catalogue."""

TRAIL = 20
"""How many earlier cursors a page remembers. `car` pages forwards only, so the way back is in the address."""

FUELS = ("petrol", "diesel", "hybrid", "electric", "hydrogen")

SORTS = {
    "": "Maker and model",
    "name": "Name, A to Z",
    "-name": "Name, Z to A",
    "-rating": "Rating, best first",
    "rating": "Rating, lowest first",
    "price": "Price, lowest first",
    "-price": "Price, highest first",
    "-release_date": "Newest first",
    "release_date": "Oldest first",
}
"""The orders that the catalogue offers, as `sort` of `car`: what a person reads."""

_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£"}


@dataclass(frozen=True)
class Complaint:
    """What is wrong with one field of an input."""

    field: str
    detail: str


@dataclass(frozen=True)
class Engine:
    """What drives a car; a battery has neither displacement nor cylinders."""

    fuel: str | None = None
    displacement_cc: int | None = None
    power_kw: int | None = None
    cylinders: int | None = None


@dataclass(frozen=True)
class Car:
    """One car of the catalogue. `maker` and `model` are slugs, and together its key."""

    maker: str
    model: str
    name: str
    price: int
    currency: str
    rating: float | None
    release_date: str | None
    engine: Engine
    options: tuple[str, ...]
    description: str

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Car:
        """Read the JSON of `car`. Raises KeyError, TypeError or ValueError for what is no car."""
        engine = value.get("engine") or {}
        rating = value.get("rating")
        return cls(
            maker=str(value["maker"]),
            model=str(value["model"]),
            name=str(value.get("name") or f"{value['maker']} {value['model']}"),
            price=int(value["price"]),
            currency=str(value["currency"]),
            rating=None if rating is None else float(rating),
            release_date=value.get("release_date"),
            engine=Engine(**{name: engine.get(name) for name in Engine.__dataclass_fields__}),
            options=tuple(str(option) for option in value.get("options") or ()),
            description=str(value.get("description") or ""),
        )


@dataclass(frozen=True)
class MakerCount:
    """A maker and the number of its cars."""

    maker: str
    count: int


@dataclass(frozen=True)
class Listing:
    """One page of the catalogue as `car` gives it. `next_cursor` is None on the last page."""

    cars: tuple[Car, ...]
    total: int
    makers: tuple[MakerCount, ...]
    next_cursor: str | None


@dataclass(frozen=True)
class Quote:
    """What a car costs less a discount, in whole units of the currency."""

    price: int
    discount: int
    total: int
    currency: str


@dataclass(frozen=True)
class Pager:
    """Where in the catalogue a page stands, and the query parameters of its neighbours.

    The way back is the cursors of the pages before, except the first, which has none; only the last
    TRAIL of them are kept, so that an address stays short in a catalogue of any size.
    """

    number: int
    cursor: str
    trail: tuple[str, ...]
    next_cursor: str | None
    total: int

    @property
    def pages(self) -> int:
        """How many pages there are, at least one and at least this one."""
        return max(math.ceil(self.total / PAGE_SIZE), self.number, 1)

    @property
    def following(self) -> dict[str, Any] | None:
        """The parameters of the next page; None on the last."""
        if not self.next_cursor:
            return None
        trail = (*self.trail, self.cursor)[-TRAIL:] if self.cursor else ()
        return {"cursor": self.next_cursor, "back": list(trail), "page": self.number + 1}

    @property
    def previous(self) -> dict[str, Any] | None:
        """The parameters of the page before; None on the first, and where the trail has ended."""
        if self.trail:
            return {"cursor": self.trail[-1], "back": list(self.trail[:-1]), "page": self.number - 1}
        return {} if self.cursor and self.number <= 2 else None


@dataclass(frozen=True)
class Difference:
    """One field of two versions of a car, as text."""

    label: str
    mine: str
    theirs: str

    @property
    def changed(self) -> bool:
        """True when the two versions do not agree."""
        return self.mine != self.theirs


def differences(mine: Mapping[str, str], theirs: Mapping[str, str]) -> Sequence[Difference]:
    """Every field of two versions side by side, in the order of `mine`."""
    return [Difference(label, value, theirs.get(label, "")) for label, value in mine.items()]


def money(amount: int, currency: str) -> str:
    """An amount as people write it: `€62,000`, `CHF 1,200`, signed where it is below zero."""
    sign = "\N{MINUS SIGN}" if amount < 0 else ""
    symbol = _SYMBOLS.get(currency, f"{currency}\u00a0")
    return f"{sign}{symbol}{abs(amount):,}"


def title(slug: str) -> str:
    """A slug as a heading: `e-class` is `E-Class`."""
    return slug.title()
