"""The `car` application as its tests use it: on any database, with a `minus` that they control.

With CAR_AND_MINUS=together in the environment it is the monolith of examples/monolith, `minus` in the same
process: the same tests hold for both (`make test-monolith`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest
from flask import Flask

from observability.settings import from_environ
from observability.testing import OFFLINE
from services.car.settings import Settings

TOGETHER = os.environ.get("CAR_AND_MINUS") == "together"


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


def composition(service: str) -> Callable[..., Flask]:
    """The `create_app` of `car` or `minus`: its own, or that of both together."""
    module = "examples.monolith.app" if TOGETHER else f"services.{service}.app"
    made: Callable[..., Flask] = import_module(module).create_app
    return made


@contextmanager
def car_app(url: str, *, minus: Any = None, **settings: Any) -> Iterator[Flask]:
    """The application on the database at `url`, with no telemetry sent and no port opened."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in OFFLINE.items():
            patch.setenv(name, value)
        app = composition("car")(from_environ(Settings, {}, database_url=url, **settings), minus=minus)
    try:
        yield app
    finally:
        app.extensions["observability"].shutdown()
        app.extensions["car"].store.close()


def a_car(**fields: Any) -> dict[str, Any]:
    """A document that makes a car, with `fields` in place of its own."""
    return {"maker": "acme", "model": "one", "price": 1000, "release_date": "2020-02-29", **fields}
