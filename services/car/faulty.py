"""Points for faults of the database: see `services.faults.points`. Without flags, its plain transactions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from services.car.database import Database
from services.faults.points import Faults


class DatabaseFaults:
    """The transactions of `database`, with a point in each."""

    def __init__(self, database: Database, faults: Faults) -> None:
        self._database = database
        self._faults = faults
        self._leaked: list[sa.Connection] = []

    @contextmanager
    def reading(self, maker: str | None) -> Iterator[sa.Connection]:
        """A reading transaction. `car.read` can slow a statement (`sleep`) or not give back connections."""
        effects = self._faults.at("car.read", maker=maker)
        if effects.get("leak"):
            # The kind of bug that a missing `with` makes: taken from the pool and never given back.
            with self._database.reading():
                self._leaked.append(self._database.engine.connect())
        elif self._leaked:
            self._give_back()
        with self._database.reading() as connection:
            if seconds := effects.get("sleep"):
                _sleep(connection, float(seconds))
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A writing transaction. `car.write` is inside it, so that a delay there holds its lock."""
        with self._database.writing() as connection:
            self._faults.at("car.write")
            yield connection

    def one_by_one(self) -> bool:
        """Whether a list shall read each of its cars again, as a careless mapper does."""
        return bool(self._faults.at("car.list").get("one_by_one"))

    def _give_back(self) -> None:
        while self._leaked:
            self._leaked.pop().close()


def _sleep(connection: sa.Connection, seconds: float) -> None:
    """A statement on the cars that takes this long, in both databases."""
    if connection.dialect.name == "sqlite":
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.create_function("pg_sleep", 1, time.sleep)
    statement = sa.text("SELECT pg_sleep(:seconds) FROM cars LIMIT 1")
    connection.execute(statement, {"seconds": seconds}).all()
