"""Lines and heatmaps as SVG. Colours are CSS classes, so that one drawing serves light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import pairwise

from dashboards.preview.units import shown
from dashcam.sources import Series

HEIGHT = 170
COLUMN = 55
"""A chart is this many units wide for each of the grid's columns, so that text is of one size everywhere."""

LEFT, RIGHT, TOP, BOTTOM = 62, 8, 8, 20
Named = tuple[str, Series]
Drawn = tuple[tuple[str, str], Series]
"""A series with the class of its colour and its style."""


@dataclass(frozen=True)
class Point:
    """An observed value that leads somewhere: an exemplar and its trace."""

    time: float
    value: float
    link: str


@dataclass(frozen=True)
class Area:
    """Where a chart is drawn: `width` units, the times from `start` to `end`, in `unit`."""

    width: float
    start: float
    end: float
    unit: str

    def x(self, time: float) -> float:
        return LEFT + (time - self.start) / (self.end - self.start) * (self.width - LEFT - RIGHT)


@dataclass(frozen=True)
class Axis:
    """The ends of the upright axis where they are fixed, and the lines at limits: value and class."""

    lowest: float | None = None
    highest: float | None = None
    limits: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True)
class Scale:
    """From values to heights."""

    lowest: float
    highest: float

    def y(self, value: float) -> float:
        inside = (min(max(value, self.lowest), self.highest) - self.lowest) / (self.highest - self.lowest)
        return HEIGHT - BOTTOM - inside * (HEIGHT - TOP - BOTTOM)


def lines(
    drawn: Sequence[Drawn],
    area: Area,
    axis: Axis = Axis(),
    stacked: bool = False,
    points: Sequence[Point] = (),
) -> str:
    """A line for each series, or a band on top of those before it; `points` over them, each a link."""
    heights = _heights([series for _, series in drawn], stacked)
    scale = _scale(heights, axis)
    parts = [_frame(area, scale)]
    below: dict[float, float] = {}
    for ((shade, style), _), line in zip(drawn, heights, strict=True):
        for piece in _pieces(line):
            parts.append(_line(piece, area, scale, shade, style))
            if stacked:
                parts.append(_band(piece, below, area, scale, shade, style))
        below = below | dict(line)
    parts += [_limit(value, shade, area, scale) for value, shade in axis.limits]
    parts += [_point(point, area, scale) for point in points]
    return _svg(parts, area)


def _scale(heights: Sequence[Sequence[tuple[float, float]]], axis: Axis) -> Scale:
    """Room for all values, and for zero; without a fixed lower end also for what is below it."""
    finite = [y for line in heights for _, y in line if math.isfinite(y)]
    highest = axis.highest if axis.highest is not None else _round_up(max(finite, default=0))
    lowest = axis.lowest if axis.lowest is not None else -_round_up(-min(finite, default=0), least=0)
    return Scale(lowest, highest)


def _limit(value: float, shade: str, area: Area, scale: Scale) -> str:
    if not scale.lowest <= value <= scale.highest:
        return ""
    y = scale.y(value)
    return f'<line class="limit {shade}" x1="{LEFT}" x2="{area.width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _point(point: Point, area: Area, scale: Scale) -> str:
    x, y = area.x(point.time), scale.y(point.value)
    name = escape(f"{shown(point.value, area.unit)}: open the trace")
    return (
        f'<a href="{escape(point.link)}" aria-label="{name}"><title>{name}</title>'
        f'<circle class="exemplar" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/></a>'
    )


def _line(piece: Sequence[tuple[float, float]], area: Area, scale: Scale, shade: str, style: str) -> str:
    if len(piece) == 1:
        x, y = area.x(piece[0][0]), scale.y(piece[0][1])
        return f'<circle class="dot {shade}" style="{style}" cx="{x:.1f}" cy="{y:.1f}" r="2"/>'
    return f'<polyline class="line {shade}" style="{style}" points="{_path(piece, area, scale)}"/>'


def _band(
    piece: Sequence[tuple[float, float]],
    below: dict[float, float],
    area: Area,
    scale: Scale,
    shade: str,
    style: str,
) -> str:
    floor = [(time, below.get(time, 0.0)) for time, _ in reversed(piece)]
    points = _path([*piece, *floor], area, scale)
    return f'<polygon class="band {shade}" style="{style}" points="{points}"/>'


def _path(points: Sequence[tuple[float, float]], area: Area, scale: Scale) -> str:
    return " ".join(f"{area.x(time):.1f},{scale.y(value):.1f}" for time, value in points)


def cells(named: Sequence[Named], area: Area) -> str:
    """A heatmap of cumulative buckets, named by their upper bounds."""
    ordered = sorted(((float(name), dict(series.points)) for name, series in named), key=lambda pair: pair[0])
    times = sorted({time for _, points in ordered for time in points})
    height = (HEIGHT - TOP - BOTTOM) / max(len(ordered), 1)
    width = (area.width - LEFT - RIGHT) / max(len(times), 1)
    own = _own_counts(ordered)
    most = max(own.values(), default=0) or 1
    drawn = [_times(area)]
    for row, (bound, _) in enumerate(ordered):
        y = HEIGHT - BOTTOM - (row + 1) * height
        if row % 3 == 0:
            drawn.append(
                f'<text class="axis" x="{LEFT - 6}" y="{y + height:.1f}" '
                f'text-anchor="end">{shown(bound, area.unit)}</text>'
            )
        for column, time in enumerate(times):
            if count := own.get((bound, time), 0):
                opacity = 0.15 + 0.85 * (count / most) ** 0.5
                drawn.append(
                    f'<rect class="cell" x="{LEFT + column * width:.1f}" y="{y:.1f}" '
                    f'width="{width + 0.3:.1f}" '
                    f'height="{height:.1f}" opacity="{opacity:.2f}"/>'
                )
    return _svg(drawn, area)


def _own_counts(ordered: Sequence[tuple[float, dict[float, float]]]) -> dict[tuple[float, float], float]:
    """Each bucket's own count at each time: a cumulative bucket less the one below it."""
    own = {}
    for row, (bound, points) in enumerate(ordered):
        below = ordered[row - 1][1] if row else {}
        for time, value in points.items():
            own[bound, time] = max(0.0, value - below.get(time, 0.0))
    return own


def _heights(all_series: Sequence[Series], stacked: bool) -> list[list[tuple[float, float]]]:
    if not stacked:
        return [list(series.points) for series in all_series]
    total: dict[float, float] = {}
    stack = []
    for series in all_series:
        points = []
        for time, value in series.points:
            if math.isfinite(value):
                total[time] = total.get(time, 0.0) + value
            points.append((time, total.get(time, 0.0)))
        stack.append(points)
    return stack


def _pieces(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """The runs between gaps: no line is drawn where there was no value."""
    step = min((b[0] - a[0] for a, b in pairwise(points)), default=0)
    runs: list[list[tuple[float, float]]] = []
    last = None
    for time, value in points:
        if not math.isfinite(value):
            last = None
            continue
        if last is None or time - last > 1.5 * step:
            runs.append([])
        runs[-1].append((time, value))
        last = time
    return runs


def _round_up(value: float, least: float = 1.0) -> float:
    """A round number not below `value`; `least` where that is nothing."""
    if value <= 0:
        return least
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 1.5, 2, 3, 4, 5, 7.5, 10) if power * step >= value * 0.999)


def _frame(area: Area, scale: Scale) -> str:
    drawn = [_times(area)]
    for value in (scale.lowest, (scale.lowest + scale.highest) / 2, scale.highest):
        y = scale.y(value)
        drawn.append(f'<line class="grid" x1="{LEFT}" x2="{area.width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        label = escape(shown(value, area.unit))
        drawn.append(f'<text class="axis" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    return "".join(drawn)


def _times(area: Area) -> str:
    drawn = []
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        time = area.start + share * (area.end - area.start)
        label = datetime.fromtimestamp(time, UTC).strftime("%H:%M:%S")
        drawn.append(
            f'<text class="axis" x="{area.x(time):.1f}" y="{HEIGHT - 5}" '
            f'text-anchor="{anchor}">{label}</text>'
        )
    return "".join(drawn)


def _svg(drawn: Sequence[str], area: Area) -> str:
    return f'<svg viewBox="0 0 {area.width:g} {HEIGHT}">{"".join(drawn)}</svg>'
