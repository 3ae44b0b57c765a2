"""Time series as the lines of a drawing 1000 wide and 200 high, with exemplars as points on it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dashcam.sources import Exemplar, Series

WIDTH, HEIGHT = 1000, 200
TOP = 8
LINES = 12
"""Series that are drawn; the rest is counted in a note, for nobody can tell more of them apart."""

SMALLEST, LARGEST = 1e-300, 1e300
"""Between these a scale can be worked out without leaving what a float holds."""

EXEMPLARS = 60
HIGHEST = 20
"""Exemplars drawn, and how many of them are the highest, which one looks for first."""


@dataclass(frozen=True, slots=True)
class Line:
    """One series: its name, its colour number, its pieces as SVG points, and its last value."""

    name: str
    colour: int
    pieces: Sequence[str]
    last: float


@dataclass(frozen=True, slots=True)
class Dot:
    """An exemplar at its place."""

    x: float
    y: float
    exemplar: Exemplar


@dataclass(frozen=True)
class Chart:
    """The lines, the points, and the values at the grid lines from the bottom up."""

    lines: Sequence[Line]
    dots: Sequence[Dot]
    levels: Sequence[float]
    start: float
    end: float
    left_out: int

    @property
    def empty(self) -> bool:
        return not self.lines and not self.dots


def chart(
    series: Sequence[Series],
    start: float,
    end: float,
    names: Mapping[int, str] | None = None,
    exemplars: Iterable[Exemplar] = (),
    at_most: float | None = None,
    colours: Mapping[str, int] | None = None,
    binary: bool = False,
) -> Chart:
    """Draw `series` from `start` to `end` in Unix seconds, from zero up to the highest value.

    `names` gives the names by place, else the labels do; `at_most` is a value the scale reaches at least;
    `colours` gives a name its colour; `binary` ends the scale at a power of two, for bytes.
    """
    kept = [one for one in series if any(_drawable(value) for _, value in one.points)]
    shown = kept[:LINES]
    dots = _chosen(exemplars, start, end)
    values = [value for one in shown for _, value in one.points if _drawable(value)]
    peak = max([*values, *(dot.value for dot in dots), at_most or 0.0], default=0.0)
    top = 2.0 ** math.ceil(math.log2(peak)) if binary and peak > SMALLEST else _round_up(peak)
    low = min(0.0, *values) if values else 0.0
    low = -_round_up(-low) if low < 0 else 0.0

    def place(time: float, value: float) -> tuple[float, float]:
        x = (time - start) / max(1e-9, end - start) * WIDTH
        share = (min(max(value, low), top) - low) / max(1e-9, top - low)
        return round(x, 1), round(HEIGHT - share * (HEIGHT - TOP), 1)

    lines = []
    for number, one in enumerate(shown):
        name = (names or {}).get(number) or label(one.labels)
        colour = (colours or {}).get(name, number % LINES)
        lines.append(Line(name, colour, _pieces(one, place), _last(one)))
    levels = [low + (top - low) * part / 2 for part in range(3)]
    placed = [Dot(*place(dot.time, dot.value), dot) for dot in dots]
    return Chart(lines, placed, levels, start, end, len(kept) - len(shown))


def label(labels: Mapping[str, str]) -> str:
    """The name of a series: its labels, or its only label's value."""
    rest = {name: value for name, value in labels.items() if name != "__name__"}
    if len(rest) == 1:
        return next(iter(rest.values()))
    inner = ", ".join(f"{name}={value}" for name, value in sorted(rest.items()))
    metric = labels.get("__name__", "")
    return f"{metric} {inner}".strip() or "value"


def _drawable(value: float) -> bool:
    """Neither missing nor beyond what can be scaled."""
    return abs(value) <= LARGEST


def _pieces(series: Series, place: object) -> list[str]:
    """The points as polylines, broken where a value is missing."""
    assert callable(place)
    pieces: list[list[str]] = [[]]
    gap = _usual_gap(series.points)
    before: float | None = None
    for time, value in series.points:
        broken = before is not None and gap and time - before > 1.5 * gap
        if (broken or not _drawable(value)) and pieces[-1]:
            pieces.append([])
        if _drawable(value):
            x, y = place(time, value)
            pieces[-1].append(f"{x},{y}")
        before = time
    # A single point is drawn as a dash, for a polyline of one point shows nothing.
    return [" ".join(piece if len(piece) > 1 else [*piece, *piece]) for piece in pieces if piece]


def _usual_gap(points: Sequence[tuple[float, float]]) -> float:
    gaps = sorted(later[0] - earlier[0] for earlier, later in pairwise(points))
    return gaps[0] if gaps else 0.0


def _last(series: Series) -> float:
    return next((value for _, value in reversed(series.points) if _drawable(value)), math.nan)


def _chosen(exemplars: Iterable[Exemplar], start: float, end: float) -> list[Exemplar]:
    """The exemplars of this time with a trace: the highest first, then the others, thinned out evenly."""
    found = [one for one in exemplars if one.trace_id and start <= one.time <= end and _drawable(one.value)]
    found.sort(key=lambda one: one.value, reverse=True)
    highest, others = found[:HIGHEST], sorted(found[HIGHEST:], key=lambda one: one.time, reverse=True)
    step = max(1, -(-len(others) // (EXEMPLARS - HIGHEST)))
    return highest + others[::step]


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 and 10 times a power of ten; 1 for nothing."""
    if value <= SMALLEST:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in (1, 2, 2.5, 5) if step * power >= value * 0.9999), 10 * power)
