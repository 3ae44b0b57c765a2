"""`dashcam diagnose`: what is wrong, since when, for whom, and where the cause is."""

from __future__ import annotations

import sys
import time

import click

from dashcam.cli.session import (
    NOTHING,
    UNREACHABLE,
    Session,
    command,
    nothing,
    time_options,
    write_json,
)
from dashcam.console.parameters import Window
from dashcam.diagnose import report, single_trace, verdict
from dashcam.diagnose.selection import narrowed
from dashcam.sources import Sources, Trace, TraceQuery

MARGIN = 600.0
"""Seconds before an alert became active that are looked at too: what is usual, and how it began."""


@click.command()
@click.option("--trace", "trace_id", metavar="ID", help="Explain one trace.")
@click.option("--alert", metavar="NAME", help="Look at the time and the service of a firing alert.")
@click.option("--service", metavar="NAME", help="Only what is wrong in this service, or what it calls.")
@time_options("15m")
@command()
def diagnose(
    session: Session, window: Window, trace_id: str | None, alert: str | None, service: str | None
) -> None:
    """Say what is wrong, since when, for whom, where the cause is, and how sure that is.

    What is usual is learned from the same time before the change, so --since must reach back beyond it.
    Exit status 0 where all is well, 1 where something is wrong, 3 where a source did not answer.

    \b
    Examples:
      dashcam diagnose
      dashcam diagnose --since 1h --service car
      dashcam diagnose --alert LatencyBurnFast --json
    """
    if trace_id:
        _one_trace(session, trace_id)
        return
    start, end = window.start / 1e6, window.end / 1e6
    if alert:
        start, service = _of_alert(session, alert, start, service)
    found = verdict.diagnose(session.sources, start, end, session.console)
    if service:
        found = narrowed(found, service)
    if session.as_json:
        write_json(report.document(found))
    else:
        click.echo(report.text(found))
    if any(gap.kind == "source away" for gap in found.telemetry):
        sys.exit(UNREACHABLE)
    if not found.healthy:
        sys.exit(NOTHING)


def _one_trace(session: Session, trace_id: str) -> None:
    found = session.sources.traces.trace(trace_id)
    if found is None:
        nothing(session, f"There is no trace {trace_id}.", {})
    others = _likes(session.sources, found)
    answer = single_trace.explain(found, others)
    if session.as_json:
        write_json(answer)
    else:
        click.echo(single_trace.text(answer))


def _likes(sources: Sources, one: Trace) -> list[Trace]:
    """Traces that began in the same operation, within the quarter of an hour around it."""
    if one.root is None:
        return []
    around = int(MARGIN * 1e6)
    query = TraceQuery(
        one.root.service, one.start - around, one.end + around, operation=one.root.operation, limit=100
    )
    return [each for each in sources.traces.search(query) if each.trace_id != one.trace_id]


def _of_alert(session: Session, name: str, start: float, service: str | None) -> tuple[float, str | None]:
    """From before the alert's beginning on; its own service unless another is asked for."""
    active = [one for one in session.sources.metrics.alerts() if one.name == name]
    if not active:
        raise click.UsageError(f"no alert {name} is pending or firing: `dashcam alerts` shows those that are")
    first = min(active, key=lambda one: one.active_at)
    return min(start, first.active_at - MARGIN, time.time() - MARGIN), service or first.labels.get("service")
