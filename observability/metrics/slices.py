"""Long work beside requests: done in slices, with the interpreter given away between two of them."""

from __future__ import annotations

import time

SLICE = 0.001
"""Seconds of work in one piece. A request that wants the interpreter waits for the rest of it."""

PAUSE = 0.0001
"""Seconds between two pieces. A pause of zero would not do: who gives the GIL away and takes it back at
once gets it before a thread that has to wake up first."""


class Slices:
    """Call :meth:`breathe` often: it pauses where a slice is over, and costs a look at the clock else."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + SLICE

    def breathe(self) -> None:
        """Let other threads run, if they had to wait for a whole slice."""
        if time.perf_counter() >= self._until:
            time.sleep(PAUSE)
            self._until = time.perf_counter() + SLICE
