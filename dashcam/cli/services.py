"""`dashcam services` and `dashcam alerts`."""

from __future__ import annotations

import sys

import click

from dashcam.cli.session import (
    NOTHING,
    Session,
    command,
    nothing,
    one_line,
    table,
    time_options,
    write_json,
)
from dashcam.console import filters, parameters
from dashcam.console.gather import Gatherer
from dashcam.console.service_health import FIGURES, Service, gather_services, serious, urgency

COLUMNS = ("rate", "errors", "p50", "p95", "p99", "saturation")


@click.command()
@time_options("5m")
@command()
def services(session: Session, window: parameters.Window) -> None:
    """Show each service's rate, errors, duration, saturation, version and alerts.

    Exit status 1 where a service is down or none is known.

    \b
    Examples:
      dashcam services
      dashcam services --since 1h --json
    """
    found, errors = gather_services(session.sources, Gatherer(session.settings.source_timeout), window)
    if errors:
        raise errors[0]
    if not found:
        nothing(session, "No service has been seen in this time.", {"services": []})
    if session.as_json:
        write_json({"services": [_as_json(service) for service in found]})
    else:
        rows = [["service", "state", "rate", "errors", "p50", "p95", "p99", "saturation", "up", "version"]]
        table([*rows, *(_row(service) for service in found)], right=frozenset(range(2, 9)))
        if read := [one_line(service.name, 30) for service in found if service.from_spans]:
            click.echo(f"\nRead from their newest spans, for want of metrics: {', '.join(read)}.")
    if any(service.state == "down" for service in found):
        sys.exit(NOTHING)


@click.command()
@click.option("--firing", is_flag=True, help="Leave out what is only pending.")
@command()
def alerts(session: Session, firing: bool) -> None:
    """Show what is firing and pending. Exit status 1 where something is firing, so that scripts can ask.

    \b
    Examples:
      dashcam alerts && echo all quiet
      dashcam alerts --firing --json
    """
    found = [one for one in session.sources.metrics.alerts() if serious(one)]
    found = [one for one in found if one.state == "firing" or not firing]
    found.sort(key=urgency)
    if session.as_json:
        rows = [
            {
                "name": one.name,
                "state": one.state,
                "since": filters.iso(int(one.active_at * 1e6)),
                "labels": one.labels,
                "annotations": one.annotations,
            }
            for one in found
        ]
        write_json({"alerts": rows})
    elif not found:
        click.echo("Nothing is pending or firing.")
    for one in [] if session.as_json else found:
        state = click.style(f"{one_line(one.state, 8):<8}", fg="red" if one.state == "firing" else "yellow")
        summary = one_line(one.annotations.get("summary", ""))
        click.echo(f"{state} {filters.date(int(one.active_at * 1e6))} {one_line(one.name, 40)}  {summary}")
        if runbook := one.annotations.get("runbook_url"):
            click.echo(f"         runbook: {one_line(runbook)}")
    if any(one.state == "firing" for one in found):
        sys.exit(NOTHING)


def _row(service: Service) -> list[str]:
    colour = {"down": "red", "firing": "red", "failing": "yellow", "unknown": "yellow"}.get(
        service.state, "green"
    )
    figure = service.figure
    up = f"{filters.number(figure('up'))}/{filters.number(figure('instances'))}"
    return [
        one_line(service.name, 30),
        click.style(service.state, fg=colour),
        filters.rate(figure("rate")),
        filters.ratio(figure("errors")),
        filters.seconds(figure("p50")),
        filters.seconds(figure("p95")),
        filters.seconds(figure("p99")),
        filters.ratio(figure("saturation")),
        up,
        one_line(service.version, 20),
    ]


def _as_json(service: Service) -> dict[str, object]:
    figures = {name: service.figure(name) for name in FIGURES}
    alerts = [{"name": one.name, "state": one.state} for one in service.alerts]
    return {
        "name": service.name,
        "state": service.state,
        **figures,
        "version": service.version,
        "from_spans": service.from_spans,
        "alerts": alerts,
    }
