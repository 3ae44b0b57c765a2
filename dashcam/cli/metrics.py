"""`dashcam metrics PROMQL`: values now, or a range as sparklines."""

from __future__ import annotations

import math
from collections.abc import Sequence

import click

from dashcam.cli.session import Session, command, nothing, one_line, table, write_json
from dashcam.console import filters, parameters
from dashcam.console.chart import label

BARS = "▁▂▃▄▅▆▇█"
POINTS = 60


@click.command()
@click.argument("promql")
@click.option("--range", "length", metavar="TIME", help="Over this long, such as 1h, as a sparkline.")
@click.option("--at", default="", metavar="TIME", help="At this time, such as 2026-01-31T12:00 (UTC) [now].")
@command()
def metrics(session: Session, promql: str, length: str | None, at: str) -> None:
    """Ask Prometheus.

    \b
    Examples:
      dashcam metrics up
      dashcam metrics 'sum by (job) (rate(http_server_request_duration_seconds_count[1m]))'
      dashcam metrics 'process_resident_memory_bytes' --range 1h
    """
    asked = {"lookback": length or "1h"} if not at else {"to": at}
    window = parameters.window(asked, length or "1h")
    if length:
        _range(session, promql, window)
        return
    samples = session.sources.metrics.instant(promql, window.end / 1e6)
    if not samples:
        nothing(session, "The result is empty: no series has these names and labels.", {"series": []})
    if session.as_json:
        series = [{"labels": one.labels, "time": one.time, "value": one.value} for one in samples]
        write_json({"series": series})
        return
    for sample in samples:
        click.echo(f"{filters.number(sample.value):>12}  {one_line(label(sample.labels))}")


def _range(session: Session, promql: str, window: parameters.Window) -> None:
    step = max(1.0, window.seconds // POINTS)
    found = session.sources.metrics.range(promql, window.start / 1e6, window.end / 1e6, step)
    if not found:
        nothing(session, "The result is empty: no series has these names and labels.", {"series": []})
    if session.as_json:
        write_json({"series": [{"labels": one.labels, "points": one.points} for one in found]})
        return
    rows = [["series", "over time", "least", "most", "last"]]
    for one in found:
        values = [value for _, value in one.points if math.isfinite(value)] or [math.nan]
        figures = [filters.number(value) for value in (min(values), max(values), values[-1])]
        rows.append([one_line(label(one.labels), 60), sparkline(values), *figures])
    table(rows, right=frozenset({2, 3, 4}))


def sparkline(values: Sequence[float]) -> str:
    """One bar for each value, from zero or the least, whichever is lower, to the most."""
    low, high = min(0.0, *values), max(values)
    if math.isnan(high) or high == low:
        return BARS[0] * len(values)
    return "".join(BARS[round((value - low) / (high - low) * (len(BARS) - 1))] for value in values)
