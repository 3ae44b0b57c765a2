"""The durations of traces over time, as the points of a drawing 1000 wide and 160 high."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashcam.sources import TraceSummary

WIDTH, HEIGHT = 1000, 160


@dataclass(frozen=True, slots=True)
class Point:
    """One trace: its place, and a radius that grows with how many spans it has."""

    trace: TraceSummary
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Scatter:
    """All points, and the scales beside them: (place, microseconds)."""

    points: Sequence[Point]
    times: Sequence[tuple[float, int]]
    durations: Sequence[tuple[float, int]]


def scatter(traces: Sequence[TraceSummary]) -> Scatter:
    """Place each trace by start time and duration. The scale ends at the longest one."""
    first = min((trace.start for trace in traces), default=0)
    last = max((trace.start for trace in traces), default=1)
    longest = max(1, *(trace.duration for trace in traces)) if traces else 1
    across = max(1, last - first)
    points = [
        Point(
            trace,
            20 + (trace.start - first) / across * (WIDTH - 40),
            HEIGHT - 12 - trace.duration / longest * (HEIGHT - 24),
            min(9.0, 3.5 + trace.spans**0.5 / 2),
        )
        for trace in traces
    ]
    times = [(20 + part / 4 * (WIDTH - 40), first + across * part // 4) for part in range(5)]
    durations = [(HEIGHT - 12 - part / 2 * (HEIGHT - 24), longest * part // 2) for part in range(3)]
    return Scatter(points, times, durations)
