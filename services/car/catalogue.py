"""The domain: what a car is, what can be asked of the catalogue, and what may go wrong.

Neither Flask nor OpenTelemetry nor SQLAlchemy comes in here. The errors:

    CatalogueError
    ├── Invalid         a document breaks the rules; carries every complaint at once
    │   └── BadQuery    the same of the parameters of a question
    ├── Missing         there is no such car, maker or part
    ├── Duplicate       there is such a car already
    ├── Conflict        a precondition (If-Match, If-None-Match) does not hold
    └── Unavailable     the catalogue cannot be reached now; asking again later may help
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Any, Literal

MAX_PRICE = 10**12
MAX_SLUG = 60
MAX_NAME = 100
MAX_DESCRIPTION = 4000
MAX_OPTIONS = 50
MAX_BATCH = 500
MAX_LIMIT = 100
DEFAULT_LIMIT = 20
RATING_STEPS = 10
"""A rating has one decimal and is kept as a whole number of tenths, so that comparing is exact."""

FUELS = ("petrol", "diesel", "hybrid", "electric", "hydrogen")
SORT_KEYS = ("maker", "model", "name", "price", "rating", "release_date")

ACTIVE, CANCELLED = "active", "cancelled"
"""The states of a reservation. Cancelled is for good."""

SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class FieldError:
    """One complaint: the field (`engine.power_kw`, `cars[3].price`), its value, and the remedy."""

    field: str
    value: Any
    detail: str


class CatalogueError(Exception):
    """What the catalogue refuses to do, and why."""


class Invalid(CatalogueError):
    """The request's content breaks the rules. `errors` holds every complaint."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field}: {error.detail}" for error in errors))
        self.errors = errors


class BadQuery(Invalid):
    """The parameters of a question cannot be used."""


class Missing(CatalogueError):
    """What was asked for is not there."""


class Duplicate(CatalogueError):
    """The key is taken."""


class Conflict(CatalogueError):
    """The state is not the one that the caller's precondition names."""


class Unavailable(CatalogueError):
    """The catalogue's database does not answer now."""


@dataclass(frozen=True)
class Engine:
    """What drives a car. Displacement (cm³) and cylinders are None where there is no combustion."""

    fuel: str
    power_kw: int
    displacement_cc: int | None = None
    cylinders: int | None = None


@dataclass(frozen=True)
class Car:
    """One model of one maker; the two slugs are its key.

    `price` is in whole units of `currency`, `rating` in tenths (98 is 9.8) or None when unrated.
    """

    maker: str
    model: str
    name: str
    price: int
    release_date: datetime.date
    currency: str = "EUR"
    rating: int | None = None
    engine: Engine | None = None
    options: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True)
class Reservation:
    """A car kept for somebody, who chose `id`: asking again with the same id changes nothing."""

    id: str
    maker: str
    model: str
    state: str = ACTIVE


@dataclass(frozen=True)
class Query:
    """A question to the catalogue: which cars, in which order, and from where on.

    `min_rating` is in tenths. The released span is inclusive. `after` is the key of the last car seen:
    the sort value, the maker and the model.
    """

    maker: str | None = None
    min_rating: int | None = None
    released_from: datetime.date | None = None
    released_to: datetime.date | None = None
    sort: str = "maker"
    descending: bool = False
    limit: int = DEFAULT_LIMIT
    after: tuple[Any, str, str] | None = None


@dataclass(frozen=True)
class Page:
    """The answer: at most `limit` cars, how many match in all, and whether more follow.

    `makers` counts the matching cars of each maker as if no maker had been asked for, which is what a
    list to choose a maker from needs. `state` identifies the content that the answer was made from.
    """

    cars: tuple[Car, ...]
    total: int
    makers: tuple[tuple[str, int], ...]
    more: bool
    state: str


@dataclass(frozen=True)
class Preconditions:
    """What must hold of the present entity tag before a change: RFC 9110, section 13.

    A set of tags, `"*"` for "any that exists", or None where the header was not sent.
    """

    if_match: frozenset[str] | Literal["*"] | None = None
    if_none_match: frozenset[str] | Literal["*"] | None = None

    def check(self, tag: str | None) -> None:
        """Raise Conflict unless a target whose tag is `tag` (None: no such target) may be changed."""
        if self.if_match is not None and not _holds(self.if_match, tag):
            raise Conflict(
                "If-Match does not hold: "
                + ("there is nothing here." if tag is None else f'the ETag is "{tag}" now.')
                + " Read it again and apply the change to what you find."
            )
        if self.if_none_match is not None and _holds(self.if_none_match, tag):
            raise Conflict(f'If-None-Match does not hold: there is something here, with the ETag "{tag}".')


def _holds(tags: frozenset[str] | Literal["*"], tag: str | None) -> bool:
    return tag is not None and (tags == "*" or tag in tags)


def is_slug(text: str) -> bool:
    """Whether `text` can name a maker or a model: lower case, digits and single inner hyphens."""
    return len(text) <= MAX_SLUG and SLUG.fullmatch(text) is not None


def display_name(maker: str, model: str) -> str:
    """The name of a car that was given none, within MAX_NAME: `bentz`, `e-class` makes `Bentz E-Class`."""
    return f"{maker.title()} {model.title()}"[:MAX_NAME]
