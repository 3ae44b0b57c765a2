"""Applications that these tests build send nothing and open no admin port."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from observability.testing import offline


@pytest.fixture(scope="module", autouse=True)
def telemetry_offline() -> Iterator[None]:
    """For `create_app()`, which reads the telemetry's settings from the environment itself."""
    with offline():
        yield
