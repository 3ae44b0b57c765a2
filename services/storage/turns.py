"""How many threads may be in one place at once, and how long others wait for it where nothing moves."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class NoTurn(Exception):
    """All turns are taken, and none is given back."""


class Turns:
    """Lets `most` threads in at once. Times are in seconds.

    A further one waits as long as the others come and go, `limit` at most. Where for `patience` nobody has,
    those inside are stuck, and it is refused: a thread that waited behind them would be stuck as well.
    """

    def __init__(self, most: int, *, patience: float, limit: float) -> None:
        self._most = most
        self._patience = patience
        self._limit = limit
        self._inside = 0
        self._moved = 0.0
        self._changed = threading.Condition()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Be one of those inside while the block lasts. Raises NoTurn."""
        with self._changed:
            self._wait()
            self._inside += 1
            self._moved = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._moved = time.monotonic()
                self._changed.notify()

    def _wait(self) -> None:
        end = time.monotonic() + self._limit
        while self._inside >= self._most:
            left = min(end, self._moved + self._patience) - time.monotonic()
            if left <= 0:
                raise NoTurn(f"{self._inside} requests have been waiting for it, which is as many as may")
            self._changed.wait(left)
