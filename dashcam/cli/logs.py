"""`dashcam logs`: search, and follow."""

from __future__ import annotations

import time

import click
import orjson

from dashcam.cli.session import Session, command, nothing, one_line, time_options, write_json
from dashcam.cli.traces import severity
from dashcam.console import filters, parameters
from dashcam.model.logs import SEVERITIES
from dashcam.model.text import plain
from dashcam.sources import LogLine, LogPage, LogQuery, SourceError
from dashcam.sources.logs import Follower

PAUSE = 1.0
"""Seconds between two looks for new lines."""


@click.command()
@click.argument("text", nargs=-1)
@click.option("--service", default="", help="The service [every one].")
@click.option("--level", type=click.Choice(SEVERITIES, case_sensitive=False), help="The least severity.")
@click.option("--trace", "trace_id", default="", metavar="ID", help="The lines of one trace.")
@click.option("--fields", default="", metavar="K=V", help="Fields, such as http.response.status_code=503.")
@click.option("--limit", type=click.IntRange(1, 5000), default=100, help="The newest lines, at most [100].")
@click.option("--follow", "-f", is_flag=True, help="Go on with the lines that come, until Ctrl-C.")
@time_options("1h")
@command()
def logs(
    session: Session,
    window: parameters.Window,
    text: tuple[str, ...],
    service: str,
    level: str | None,
    trace_id: str,
    fields: str,
    limit: int,
    follow: bool,
) -> None:
    """Search the log lines, oldest first; with --follow, each new line once. --json writes a line each.

    \b
    Examples:
      dashcam logs --level ERROR --since 15m
      dashcam logs --trace 4bf92f3577b34da6a3ce929d0e0e4736
      dashcam logs --service car --follow
      dashcam logs "connection refused" --fields http.response.status_code=503
    """
    query = LogQuery(
        service=service,
        trace_id=parameters.trace_id(trace_id) if trace_id else "",
        level=level.upper() if level else "",
        text=" ".join(text),
        fields=parameters.pairs({"--fields": fields}, "--fields"),
        start=window.start,
        end=window.end,
        limit=limit,
    )
    if follow:
        _follow(session, session.sources.logs.follow(query))
        return
    page = session.sources.logs.search(query)
    if not page.lines:
        nothing(session, "No line matches. Look back further with --since.", {"logs": [], "total": 0})
    _print(session, page)


def _print(session: Session, page: LogPage) -> None:
    """The lines, oldest first, and how many more there are."""
    lines = list(reversed(page.lines))
    if session.as_json:
        write_json({"logs": [dict(line.fields) for line in lines], "total": page.total})
        return
    for line in lines:
        show(line)
    if page.total > len(lines):
        more = page.total - len(lines)
        click.echo(f"{more} older lines match; raise --limit or narrow the time.", err=True)


def _follow(session: Session, follower: Follower) -> None:
    """Print the newest lines, then what comes; a source that goes away is waited for."""
    lines = follower.poll()
    away = False
    try:
        while True:
            for line in lines:
                if session.as_json:
                    click.echo(orjson.dumps(dict(line.fields)))
                else:
                    show(line)
            time.sleep(PAUSE)
            try:
                lines, away = follower.poll(), False
            except SourceError as error:
                if not away:
                    click.echo(f"dashcam: {plain(str(error))} Waiting for it.", err=True)
                lines, away = [], True
    except KeyboardInterrupt:
        return


def show(line: LogLine) -> None:
    """One line, with what belongs to an exception under it."""
    trace = click.style(line.trace_id[:7], dim=True) if line.trace_id else " " * 7
    name = one_line(line.service, 12)
    click.echo(f"{filters.date(line.time)} {severity(line)} {name:<8} {trace} {one_line(line.message, 500)}")
    if stack := line.fields.get("exception.stacktrace"):
        click.echo(click.style("    " + plain(str(stack)).rstrip().replace("\n", "\n    "), dim=True))
