"""The `car` application as its tests use it: on any database, with a `minus` that they control."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask

from observability.settings import from_environ
from observability.testing import OFFLINE
from services.car.app import create_app
from services.car.settings import Settings


class FakeMinus:
    """Subtracts, or raises `error` when one is set."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked: list[tuple[int, int]] = []

    def difference(self, x: int, y: int) -> int:
        self.asked.append((x, y))
        if self.error is not None:
            raise self.error
        return x - y


@contextmanager
def car_app(url: str, *, minus: Any = None, **settings: Any) -> Iterator[Flask]:
    """The application on the database at `url`, with no telemetry sent and no port opened."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in OFFLINE.items():
            patch.setenv(name, value)
        app = create_app(from_environ(Settings, {}, database_url=url, **settings), minus=minus)
    try:
        yield app
    finally:
        app.extensions["observability"].shutdown()
        app.extensions["car"].store.close()


def a_car(**fields: Any) -> dict[str, Any]:
    """A document that makes a car, with `fields` in place of its own."""
    return {"maker": "acme", "model": "one", "price": 1000, "release_date": "2020-02-29", **fields}
