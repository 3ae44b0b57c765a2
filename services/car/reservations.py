"""Reservations: made and cancelled by whoever chose their id, as often and in whatever order they ask.

A distributed transaction asks twice when it cannot know whether the first time arrived, and its
cancellation may overtake the reservation that it cancels. Both are safe here: a repeated reservation is
the one that is there, and a cancelled id stays cancelled, also where it was cancelled before it came: for
a week, in which whoever asks for it has long given up.
"""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from services.car.catalogue import CANCELLED, Duplicate, Missing, Reservation
from services.car.database import Database

REMEMBERED = 7 * 24 * 3600.0
"""Seconds for which a cancelled id stays taken."""

_metadata = sa.MetaData()
_reservations = sa.Table(
    "reservations",
    _metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("maker", sa.Text),
    sa.Column("model", sa.Text),
    sa.Column("state", sa.Text),
    sa.Column("cancelled", sa.Double),
)
_told = [column for column in _reservations.c if column.name != "cancelled"]
_cars = sa.table("cars", sa.column("maker"), sa.column("model"))


class Reservations:
    """The reservations in the catalogue's database. Every method may raise Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, wanted: Reservation) -> bool:
        """Reserve a car, once for each id; whether it is new.

        Raises Missing where there is no such car, and Duplicate where the id is cancelled or another car's.
        """
        with self._database.writing() as connection:
            car = sa.select(_cars.c.maker).where(_cars.c.maker == wanted.maker, _cars.c.model == wanted.model)
            if connection.execute(car).first() is None:
                raise Missing(f"There is no car {wanted.maker}/{wanted.model}.")
            # The database decides who is first; a second one waits for the first one's transaction here.
            new = _insert(connection, wanted)
            present = _find(connection, wanted.id)
        if present != wanted:
            raise Duplicate(_why_not(wanted, present))
        return new

    def cancel(self, maker: str, model: str, reservation: str) -> None:
        """Cancel a reservation, also one that has not come yet. Raises Missing for another car's id."""
        cancelled, now = Reservation(reservation, maker, model, CANCELLED), time.time()
        with self._database.writing() as connection:
            _forget(connection, now)
            if not _insert(connection, cancelled, now):
                active = (*_at(maker, model, reservation), _reservations.c.state != CANCELLED)
                changed = sa.update(_reservations).where(*active)
                connection.execute(changed.values(state=CANCELLED, cancelled=now))
            if _find(connection, reservation) != cancelled:
                raise _none(maker, model, reservation)

    def find(self, maker: str, model: str, reservation: str) -> Reservation:
        """The reservation with this id of this car. Raises Missing."""
        with self._database.reading() as connection:
            found = _find(connection, reservation)
        if found is None or (found.maker, found.model) != (maker, model):
            raise _none(maker, model, reservation)
        return found


def _forget(connection: sa.Connection, now: float) -> None:
    """Forget what was cancelled long ago. What the version before has cancelled counts from now on."""
    columns = _reservations.c
    cancelled = columns.state == CANCELLED
    connection.execute(
        sa.update(_reservations).where(cancelled, columns.cancelled.is_(None)).values(cancelled=now)
    )
    connection.execute(sa.delete(_reservations).where(cancelled, columns.cancelled < now - REMEMBERED))


def _insert(connection: sa.Connection, reservation: Reservation, cancelled: float | None = None) -> bool:
    """Whether the row is new."""
    insert: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    row = {**vars(reservation), "cancelled": cancelled}
    statement = insert(_reservations).values(row).on_conflict_do_nothing()
    return connection.execute(statement.returning(_reservations.c.id)).first() is not None


def _find(connection: sa.Connection, reservation: str) -> Reservation | None:
    row = connection.execute(sa.select(*_told).where(_reservations.c.id == reservation)).one_or_none()
    return None if row is None else Reservation(**row._mapping)


def _at(maker: str, model: str, reservation: str) -> tuple[sa.ColumnElement[bool], ...]:
    columns = _reservations.c
    return columns.id == reservation, columns.maker == maker, columns.model == model


def _why_not(wanted: Reservation, present: Reservation | None) -> str:
    if present is not None and (present.maker, present.model) == (wanted.maker, wanted.model):
        return f"The reservation {wanted.id} is {present.state}: reserve under a new id."
    return f"The id {wanted.id} is taken by a reservation of another car: choose another."


def _none(maker: str, model: str, reservation: str) -> Missing:
    return Missing(f"There is no reservation {reservation} of the car {maker}/{model}.")
