"""A thread that looks for work again and again, and at once when it is woken."""

from __future__ import annotations

import threading
from collections.abc import Callable

LOOK_EVERY = 0.5
"""Seconds between two looks."""


class Looking:
    """Calls `look` until it is stopped; `look` returns the seconds to wait, which :meth:`wake` cuts short."""

    def __init__(self, name: str, look: Callable[[], float]) -> None:
        self._look = look
        self._awake, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to do."""
        self._awake.set()

    def stop(self, timeout: float = 5.0) -> None:
        """End after the look that is under way."""
        self._ended.set()
        self._awake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def hold_back(self, seconds: float) -> None:
        """Wait within a look, also where somebody wakes it: only the end cuts it short."""
        self._ended.wait(seconds)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._awake.clear()
            if pause := self._look():
                self._awake.wait(pause)
