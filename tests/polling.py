"""Waiting in tests: a poll with a deadline that says what it waited for and what it last saw."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    attempt: Callable[[], T | None],
    what: str | Callable[[], str],
    *,
    within: float = 120.0,
    every: float = 0.05,
) -> T:
    """Call `attempt` until it answers something true, at most `within` seconds, and return that.

    An exception of an attempt counts as "not yet" and is named when the time is up; an assertion
    error that ends the waiting says what was waited for and what came last. The time is for a machine that
    is busy with others: give another only where the time is what is tested.
    """
    deadline = time.monotonic() + within
    last: object = None
    while True:
        try:
            result = attempt()
            if result:
                return result
            last = result
        except Exception as error:  # any failure of an attempt means "not yet"
            last = error
        if time.monotonic() > deadline:
            name = what if isinstance(what, str) else what()
            raise AssertionError(f"waited {within:g} s for {name}; the last attempt gave {last!r}")
        time.sleep(every)


def typical_seconds(begin: Callable[[], T], seen: Callable[[T], object], what: str) -> float:
    """From `begin` until `seen` is true of what it answered; the median of three: a machine may stall."""
    taken = []
    for _ in range(3):
        begun, start = begin(), time.monotonic()
        until(lambda begun=begun: seen(begun), f"{what} {begun}", every=0.01)  # type: ignore[misc]
        taken.append(time.monotonic() - start)
    return statistics.median(taken)
