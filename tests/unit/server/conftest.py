"""Starts the program of this folder, and ends what a test left of it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from unit.server.served import Running


@pytest.fixture
def launch() -> Iterator[Callable[..., Running]]:
    """Start the program with these variables; all are killed after the test."""
    started: list[Running] = []

    def start(**options: Any) -> Running:
        started.append(Running(**options))
        return started[-1]

    yield start
    for running in started:
        running.kill()


@pytest.fixture
def silent_endpoint() -> Iterator[str]:
    """An OTLP endpoint that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
