"""A `car` in memory for the tests of `web`: it enters by `create_app(car=...)` and can be told to fail."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

from services.web.asking import Changed, Exists, NotFound, Rejected, ServiceError
from services.web.catalogue import Car, Complaint, Listing, MakerCount, Quote
from services.web.clients import Versioned

BENTZ = {
    "maker": "bentz",
    "model": "e-class",
    "name": "Bentz E-Class",
    "price": 62000,
    "currency": "EUR",
    "rating": 9.8,
    "release_date": "2021-03-15",
    "engine": {"fuel": "petrol", "displacement_cc": 1991, "power_kw": 150, "cylinders": 4},
    "options": ["sunroof", "heated-seats", "head-up-display"],
    "description": "A quiet saloon for long distances, and the car that every example speaks of.",
}

_RANGE = [
    ("voltra", "arc", "Voltra Arc", 38900, 8.7, "2023-05-02", "electric"),
    ("voltra", "arc-long-range", "Voltra Arc Long Range", 45900, 9.1, "2024-02-11", "electric"),
    ("voltra", "pico", "Voltra Pico", 19900, 7.4, "2022-09-30", "electric"),
    ("norden", "v60", "Norden V60", 47500, 8.9, "2020-11-20", "diesel"),
    ("norden", "x40", "Norden X40", 42300, 8.2, "2021-06-01", "hybrid"),
    ("bentz", "c-class", "Bentz C-Class", 48500, 9.2, "2021-06-29", "petrol"),
    ("bentz", "s-class", "Bentz S-Class", 118000, 9.9, "2020-12-01", "petrol"),
    ("bentz", "eqs", "Bentz EQS", 109500, 9.0, "2021-09-01", "electric"),
    ("casa", "piccola", "Casa Piccola", 15400, 6.9, "2019-04-04", "petrol"),
    ("casa", "grande", "Casa Grande", 23700, None, "2024-10-15", "hybrid"),
    ("hoshi", "mira", "Hoshi Mira", 64900, 7.8, "2021-01-07", "hydrogen"),
    ("hoshi", "kei", "Hoshi Kei", 13900, 7.1, "2018-08-08", "petrol"),
    ("hoshi", "gt-r-spec-v", "Hoshi GT-R Spec V", 99000, 9.5, "2017-03-03", "petrol"),
    ("highland", "ranger", "Highland Ranger", 87200, 8.4, "2022-04-18", "diesel"),
]


def fleet() -> list[Car]:
    """Enough cars for two pages of the catalogue."""
    cars = [Car.from_json(BENTZ)]
    for maker, model, name, price, rating, released, fuel in _RANGE:
        engine = {"fuel": fuel, "power_kw": 110}
        document = BENTZ | {"maker": maker, "model": model, "name": name, "price": price, "rating": rating}
        cars.append(Car.from_json(document | {"release_date": released, "engine": engine}))
    return cars


class FakeCar:
    """Answers like `clients.CarClient`. `failure` is raised by everything, `no_quote` by quotes only."""

    def __init__(self, cars: list[Car] | None = None) -> None:
        self.shelf = {(car.maker, car.model): car for car in (fleet() if cars is None else cars)}
        self.versions: Counter[tuple[str, str]] = Counter()
        self.failure: ServiceError | Exception | None = None
        self.no_quote: ServiceError | None = None
        self.refusal: Rejected | None = None
        self.asked: list[Mapping[str, str]] = []

    def cars(self, filters: Mapping[str, str]) -> Listing:
        self._fail()
        self.asked.append(dict(filters))
        matching = [
            car
            for car in sorted(self.shelf.values(), key=lambda car: (car.maker, car.model))
            if filters.get("maker", car.maker) == car.maker
            and float(filters.get("min_rating", 0)) <= (car.rating or 0)
            and (car.release_date or "").startswith(filters.get("release_date", ""))
        ]
        key = filters.get("sort", "")
        if key:
            matching.sort(key=lambda car: getattr(car, key.lstrip("-")) or 0, reverse=key.startswith("-"))
        start = self._start(filters.get("cursor", "c0"))
        end = start + int(filters.get("limit", 20))
        counts = Counter(car.maker for car in self.shelf.values())
        return Listing(
            tuple(matching[start:end]),
            len(matching),
            tuple(MakerCount(maker, counts[maker]) for maker in sorted(counts)),
            f"c{end}" if end < len(matching) else None,
        )

    @staticmethod
    def _start(cursor: str) -> int:
        if cursor[:1] != "c" or not cursor[1:].isascii() or not cursor[1:].isdigit() or len(cursor) > 9:
            raise Rejected("The parameters cannot be used", (Complaint("cursor", "take it from `next`"),))
        return int(cursor[1:])

    def car(self, maker: str, model: str) -> Versioned:
        self._fail()
        if (maker, model) not in self.shelf:
            raise NotFound(f"There is no car {maker} {model}.")
        return Versioned(self.shelf[maker, model], self._etag(maker, model))

    def quote(self, maker: str, model: str, discount: int) -> Quote:
        found = self.car(maker, model).car
        if self.no_quote:
            raise self.no_quote
        if discount > found.price:
            detail = f"{discount} is more than the price of {found.price}: give at most that."
            raise Rejected("The discount cannot be given.", (Complaint("discount", detail),))
        return Quote(found.price, discount, found.price - discount, found.currency)

    def create(self, car: Mapping[str, Any]) -> Car:
        self._fail()
        self._refuse()
        made = Car.from_json(car)
        if (made.maker, made.model) in self.shelf:
            raise Exists(f"There is a car {made.maker} {made.model} already.")
        return self._put(made)

    def replace(self, maker: str, model: str, car: Mapping[str, Any], etag: str) -> Car:
        self._fail()
        self._refuse()
        self._match(maker, model, etag)
        return self._put(Car.from_json(car))

    def delete(self, maker: str, model: str, etag: str) -> None:
        self.car(maker, model)
        self._match(maker, model, etag)
        del self.shelf[maker, model]

    def change_behind(self, maker: str, model: str, **changes: Any) -> None:
        """What somebody else does between the opening and the sending of a form."""
        self._put(dataclasses.replace(self.shelf[maker, model], **changes))

    def _put(self, car: Car) -> Car:
        self.shelf[car.maker, car.model] = car
        self.versions[car.maker, car.model] += 1
        return car

    def _etag(self, maker: str, model: str) -> str:
        return f'"v{self.versions[maker, model]}"'

    def _match(self, maker: str, model: str, etag: str) -> None:
        if (maker, model) not in self.shelf or etag != self._etag(maker, model):
            raise Changed("If-Match does not hold.")

    def _fail(self) -> None:
        if self.failure:
            raise self.failure

    def _refuse(self) -> None:
        if self.refusal:
            raise self.refusal
