"""Where a series differs from the rest of itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from dashcam.diagnose.findings import Step

Points = Sequence[tuple[float, float]]

LEAST = 2
"""Points that a stretch must have at least: one scrape that was late is no fault."""
CLEAR = 3.0
"""How far apart the two means must be, in standard deviations of what is left within the two parts."""


def step(points: Points, *, least: float, factor: float = 1.0, fewest: int = LEAST) -> Step | None:
    """The stretch of `points` that lies highest above the rest, if it is a clear one.

    It is clear when its mean is at least `factor` times the rest's plus `least`, and far apart from it. The
    rest must begin before it. A stretch that reaches the last point is still going on, and has at least
    `fewest` points: one is enough where each is an average of a long time.
    """
    known = [(time, value) for time, value in points if math.isfinite(value)]
    values = [value for _, value in known]
    if not values or max(values) < factor * min(values) + least:
        return None  # as most series are: no need to try every stretch
    best, found = 0.0, None
    sums = [0.0, *accumulate(values)]
    squares = [0.0, *accumulate(value * value for value in values)]
    count = len(known)
    for first in range(LEAST, count - fewest + 1):
        for last in range(first + fewest, count + 1):
            size = last - first
            total = sums[last] - sums[first]
            high, low = total / size, (sums[count] - total) / (count - size)
            if high < factor * low + least:
                continue
            inner = squares[last] - squares[first] - size * high * high
            outer = squares[count] - squares[last] + squares[first] - (count - size) * low * low
            spread = math.sqrt(max(0.0, inner + outer) / count) + 1e-9
            score = (high - low) / spread * math.sqrt(size * (count - size) / count)
            clear = high - low >= spread * CLEAR / math.sqrt(size)
            if score > best and clear and _several(known[first:last], (high + low) / 2, fewest):
                best, found = score, (first, last, low, high)
    if found is None:
        return None
    first, last, low, high = found
    end = None if last == count else known[last][0]
    return Step(known[first][0], end, low, high)


def _several(points: Points, middle: float, fewest: int) -> bool:
    """Whether the stretch is more than one high point and its neighbours."""
    return sum(value > middle for _, value in points) >= fewest


def ratio(above: Points, below: Points, least: float) -> list[tuple[float, float]]:
    """The quotient at each time that both have, where the lower one is at least `least`."""
    lower = dict(below)
    return [(time, value / lower[time]) for time, value in above if lower.get(time, 0.0) >= least]


def added(series: Sequence[Points]) -> list[tuple[float, float]]:
    """The sum of several series; one without a value at some time counts as 0 there."""
    totals: dict[float, float] = {}
    for points in series:
        for time, value in points:
            if math.isfinite(value):
                totals[time] = totals.get(time, 0.0) + value
    return sorted(totals.items())


def amount(points: Points, stretch: Step) -> float:
    """How many there were in a stretch of a rate."""
    inside = [
        (time, value)
        for time, value in points
        if math.isfinite(value) and time >= stretch.start and (stretch.end is None or time < stretch.end)
    ]
    if len(inside) < 2:
        return 0.0
    length = (inside[-1][0] - inside[0][0]) * len(inside) / (len(inside) - 1)
    return sum(value for _, value in inside) / len(inside) * length


def slope(points: Points) -> float:
    """Units a second, by least squares; 0 for fewer than three points."""
    known = [(time, value) for time, value in points if math.isfinite(value)]
    if len(known) < 3:
        return 0.0
    mid = sum(time for time, _ in known) / len(known)
    mean = sum(value for _, value in known) / len(known)
    width = sum((time - mid) ** 2 for time, _ in known)
    return sum((time - mid) * (value - mean) for time, value in known) / width if width else 0.0
