"""An instrumented application to ask, and the means to undo it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from observability import Telemetry, instrument
from observability.testing import settings

Instrumented = Callable[..., Telemetry]


@pytest.fixture
def instrumented() -> Iterator[Instrumented]:
    """`instrumented(app, sampler="always_off")`: instruments, and undoes it when the test ends."""
    made: list[Telemetry] = []

    def make(app: Flask, *, service: str = "demo", ready: Any = None, **overrides: Any) -> Telemetry:
        telemetry = instrument(
            app, service=service, version="1.2.3", settings=settings(**overrides), ready=ready
        )
        made.append(telemetry)
        return telemetry

    yield make
    for telemetry in reversed(made):
        telemetry.shutdown()


@pytest.fixture
def app() -> Flask:
    return Flask("demo")
