"""The stack with the real Collector and the real Jaeger, for tests that look at it as a person would."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from realprograms import record_collector, record_jaeger
from verifying import Recorder

from tests.local.conftest import RunningStack, running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, ran: Recorder) -> Iterator[RunningStack]:
    """What `make up BACKEND=jaeger` starts; its attributes are those of tests/local/conftest.py."""
    record_jaeger(ran)
    record_collector(ran)
    with running(tmp_path_factory.mktemp("stack"), BACKEND="jaeger") as started:
        yield started
