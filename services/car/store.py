"""Where the cars are kept. Speaks the domain's language; SQL stays in here and in `database`.

Every change takes a `check`: it is called inside the transaction with what is there (a car, or the
state of a collection; None for nothing) and raises to refuse the change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, cast

import sqlalchemy as sa

from services.car.catalogue import Car, Duplicate, Engine, Missing, Page, Query
from services.car.database import Database
from services.car.faulty import DatabaseFaults
from services.faults.points import Faults, NoFaults

CheckCar = Callable[[Car | None], None]
CheckState = Callable[[str | None], None]

_metadata = sa.MetaData()
_cars = sa.Table(
    "cars",
    _metadata,
    sa.Column("maker", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("price", sa.BigInteger),
    sa.Column("currency", sa.Text),
    sa.Column("rating", sa.Integer),
    sa.Column("release_date", sa.Date),
    sa.Column("engine", sa.JSON(none_as_null=True)),
    sa.Column("options", sa.JSON),
    sa.Column("description", sa.Text),
    sa.Column("revision", sa.BigInteger),
)
_catalogue = sa.Table(
    "catalogue",
    _metadata,
    sa.Column("id", sa.Integer),
    sa.Column("epoch", sa.Text),
    sa.Column("revision", sa.BigInteger),
)


class Store:
    """The catalogue in a database. Every method may raise Unavailable."""

    def __init__(self, database: Database, faults: Faults | None = None) -> None:
        self._database = database
        self._faults = DatabaseFaults(database, faults or NoFaults())

    def close(self) -> None:
        """Close the connections to the database; the next use opens new ones."""
        self._database.close()

    def page(self, query: Query) -> Page:
        """The cars that `query` asks for, and what surrounds them, all of one moment."""
        count = sa.func.count().label("cars")
        facet = sa.select(_cars.c.maker, count).where(*_filters(query)).group_by(_cars.c.maker)
        with self._faults.reading(query.maker) as connection:
            makers = {row.maker: row.cars for row in connection.execute(facet.order_by(_cars.c.maker))}
            cars, more = _cars_of(connection, query)
            if self._faults.one_by_one():
                cars = tuple(cast(Car, _find(connection, car.maker, car.model)) for car in cars)
            state = cast(str, _state(connection))
        total = sum(makers.values()) if query.maker is None else makers.get(query.maker, 0)
        return Page(cars, total, tuple(makers.items()), more, state)

    def maker_page(self, query: Query) -> Page:
        """The same within the one maker that `query` names. Raises Missing when it has no cars at all."""
        with self._faults.reading(query.maker) as connection:
            return _maker_page(connection, query)

    def car(self, maker: str, model: str) -> Car:
        """The car at this address. Raises Missing."""
        with self._faults.reading(maker) as connection:
            found = _find(connection, maker, model)
        if found is None:
            raise _no_car(maker, model)
        return found

    def add(self, car: Car, check: CheckState, maker: str | None = None) -> None:
        """Add a new car. `check` sees the state of all cars, or of those of `maker`. Raises Duplicate."""
        with self._faults.writing() as connection:
            revision = _next_revision(connection)
            check(_state(connection, maker, before=revision))
            if _find(connection, car.maker, car.model) is not None:
                raise Duplicate(
                    f"There is a car {car.maker}/{car.model} already: PUT its address to replace it."
                )
            insert(connection, [car], revision)

    def put(self, car: Car, check: CheckCar) -> bool:
        """Put `car` at its address, in place of one that is there; whether it is new there."""
        with self._faults.writing() as connection:
            revision = _next_revision(connection)
            present = _find(connection, car.maker, car.model)
            check(present)
            _write(connection, car, present is None, revision)
        return present is None

    def change(self, maker: str, model: str, change: Callable[[Car], Car]) -> Car:
        """Put `change(car)` in place of the car at this address. Raises Missing."""
        with self._faults.writing() as connection:
            revision = _next_revision(connection)
            present = _find(connection, maker, model)
            if present is None:
                raise _no_car(maker, model)
            changed = change(present)
            _write(connection, changed, False, revision)
        return changed

    def replace_maker(self, maker: str, cars: list[Car], check: CheckState) -> tuple[bool, Page]:
        """Make `cars` all the cars of `maker`, or change nothing; whether the maker is new, and its page."""
        with self._faults.writing() as connection:
            revision = _next_revision(connection)
            state = _state(connection, maker)
            check(state)
            connection.execute(sa.delete(_cars).where(*_only(maker)))
            insert(connection, cars, revision)
            return state is None, _maker_page(connection, Query(maker=maker))

    def delete(self, maker: str, model: str, check: CheckCar) -> None:
        """Remove one car. Raises Missing."""
        with self._faults.writing() as connection:
            _next_revision(connection)
            present = _find(connection, maker, model)
            check(present)
            if present is None:
                raise _no_car(maker, model)
            connection.execute(sa.delete(_cars).where(*_at(maker, model)))

    def delete_maker(self, maker: str, check: CheckState) -> None:
        """Remove every car of `maker`. Raises Missing when there is none."""
        with self._faults.writing() as connection:
            _next_revision(connection)
            state = _state(connection, maker)
            check(state)
            _present(state, maker)
            connection.execute(sa.delete(_cars).where(*_only(maker)))

    def delete_all(self, check: CheckState) -> None:
        """Remove every car."""
        with self._faults.writing() as connection:
            revision = _next_revision(connection)
            check(_state(connection, before=revision))
            connection.execute(sa.delete(_cars))


def insert(connection: sa.Connection, cars: Iterable[Car], revision: int) -> None:
    """Add `cars`, none of which is there, as the change number `revision`."""
    if rows := [_row(car, revision) for car in cars]:
        connection.execute(sa.insert(_cars), rows)


def _maker_page(connection: sa.Connection, query: Query) -> Page:
    maker = cast(str, query.maker)
    count = sa.select(sa.func.count()).select_from(_cars).where(*_filters(query), *_only(maker))
    state = _present(_state(connection, maker), maker)
    total = connection.execute(count).scalar_one()
    cars, more = _cars_of(connection, query)
    return Page(cars, total, ((maker, total),), more, state)


def _cars_of(connection: sa.Connection, query: Query) -> tuple[tuple[Car, ...], bool]:
    """The cars of one page, and whether more follow: one row more is read to know."""
    wanted = sa.select(_cars).where(*_filters(query), *_only(query.maker), *_after(query))
    rows = connection.execute(wanted.order_by(*_order(query)).limit(query.limit + 1)).all()
    return tuple(_car(row) for row in rows[: query.limit]), len(rows) > query.limit


# -- rows ----------------------------------------------------------------------------------------


def _row(car: Car, revision: int) -> dict[str, Any]:
    return {**asdict(car), "options": list(car.options), "revision": revision}


def _car(row: sa.Row[Any]) -> Car:
    fields = dict(row._mapping)
    del fields["revision"]
    fields["engine"] = Engine(**fields["engine"]) if fields["engine"] else None
    fields["options"] = tuple(fields["options"])
    return Car(**fields)


def _find(connection: sa.Connection, maker: str, model: str) -> Car | None:
    row = connection.execute(sa.select(_cars).where(*_at(maker, model))).one_or_none()
    return None if row is None else _car(row)


def _write(connection: sa.Connection, car: Car, new: bool, revision: int) -> None:
    if new:
        insert(connection, [car], revision)
    else:
        connection.execute(sa.update(_cars).where(*_at(car.maker, car.model)).values(_row(car, revision)))


def _no_car(maker: str, model: str) -> Missing:
    return Missing(f"There is no car {maker}/{model}.")


def _present(state: str | None, maker: str) -> str:
    if state is None:
        raise Missing(f"There is no car of the maker {maker}.")
    return state


# -- the state of a collection -------------------------------------------------------------------


def _next_revision(connection: sa.Connection) -> int:
    """The number of the change that begins here. Locks the row: see `database`."""
    statement = (
        sa.update(_catalogue).values(revision=_catalogue.c.revision + 1).returning(_catalogue.c.revision)
    )
    return int(connection.execute(statement).scalar_one())


def _state(connection: sa.Connection, maker: str | None = None, before: int | None = None) -> str | None:
    """What tells this content of the collection from every other it had or will have.

    Of all cars it is the number of the last change (`before` is the change under way). Of one maker's
    it is how many there are and the last change among them: numbers are never used twice, so with
    the same greatest number cars can only have gone. None when the maker has no cars.
    """
    epoch, revision = connection.execute(sa.select(_catalogue.c.epoch, _catalogue.c.revision)).one()
    if maker is None:
        return f"{epoch}/{revision if before is None else before - 1}"
    summary = sa.select(sa.func.count(), sa.func.max(_cars.c.revision)).where(*_only(maker))
    count, newest = connection.execute(summary).one()
    return f"{epoch}/{count}/{newest}" if count else None


# -- questions -----------------------------------------------------------------------------------

Clause = sa.ColumnElement[bool]


def _at(maker: str, model: str) -> tuple[Clause, Clause]:
    return _cars.c.maker == maker, _cars.c.model == model


def _only(maker: str | None) -> list[Clause]:
    return [] if maker is None else [_cars.c.maker == maker]


def _filters(query: Query) -> list[Clause]:
    """What `query` asks of a car beside its maker."""
    clauses = []
    if query.min_rating is not None:
        clauses.append(_cars.c.rating >= query.min_rating)
    if query.released_from is not None:
        clauses.append(_cars.c.release_date >= query.released_from)
    if query.released_to is not None:
        clauses.append(_cars.c.release_date <= query.released_to)
    return clauses


def _keys(query: Query) -> list[tuple[sa.ColumnElement[Any], bool]]:
    """The columns that order the answer, each with whether it descends; the key makes ties impossible."""
    keys: list[tuple[sa.ColumnElement[Any], bool]] = []
    if query.sort == "rating":
        keys.append((_unrated(), False))  # unrated cars come last in both directions
        keys.append((sa.func.coalesce(_cars.c.rating, 0), query.descending))
    elif query.sort not in ("maker", "model"):
        keys.append((_cars.c[query.sort], query.descending))
    for name in ("model", "maker") if query.sort == "model" else ("maker", "model"):
        keys.append((_cars.c[name], query.descending and query.sort == name))
    return keys


def _unrated() -> sa.ColumnElement[int]:
    return sa.case((_cars.c.rating.is_(None), 1), else_=0)


def _order(query: Query) -> list[sa.ColumnElement[Any]]:
    return [key.desc() if descends else key.asc() for key, descends in _keys(query)]


def _after(query: Query) -> list[Clause]:
    """The rows beyond the cursor: the first key on which a row differs lies beyond."""
    if query.after is None:
        return []
    value, maker, model = query.after
    values: list[Any] = []
    if query.sort == "rating":
        values = [int(value is None), value or 0]
    elif query.sort not in ("maker", "model"):
        values = [value]
    values += [model, maker] if query.sort == "model" else [maker, model]
    beyond: list[Clause] = []
    same: list[Clause] = []
    for (key, descends), seen in zip(_keys(query), values, strict=True):
        beyond.append(sa.and_(*same, key < seen if descends else key > seen))
        same.append(key == seen)
    return [sa.or_(*beyond)]
