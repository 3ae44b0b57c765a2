"""`dashcam traces` and `dashcam trace ID`."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import click

from dashcam.cli.session import Session, command, nothing, one_line, table, time_options, write_json
from dashcam.console import filters, parameters
from dashcam.console.pages.search import SORTS, newest_of
from dashcam.model.tree import Tree, critical_path
from dashcam.sources import LogLine, LogQuery, Span, Trace, TraceQuery, TraceSummary

COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_red")
LINES = 500


@click.command()
@click.option("--service", default="", help="The service [every one].")
@click.option("--operation", default="", help="The name of a span.")
@click.option(
    "--tags", default="", metavar="K=V", help="Tags of one span, such as 'http.route=/cars error=true'."
)
@click.option("--min-duration", default="", metavar="TIME", help="Traces that took longer, such as 100ms.")
@click.option("--max-duration", default="", metavar="TIME", help="Traces that took less.")
@click.option("--errors", is_flag=True, help="Only traces with an error.")
@click.option("--sort", type=click.Choice(list(SORTS)), default="newest", help="The order [newest].")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, help="At most as many [20].")
@time_options("1h")
@command()
def traces(
    session: Session,
    window: parameters.Window,
    service: str,
    operation: str,
    tags: str,
    min_duration: str,
    max_duration: str,
    errors: bool,
    sort: str,
    limit: int,
) -> None:
    """Search for traces.

    \b
    Examples:
      dashcam traces --service car --errors
      dashcam traces --tags http.route=/cars --min-duration 100ms --sort longest
      dashcam traces --json | jq -r '.traces[].trace_id'
    """
    wanted = parameters.pairs({"--tags": tags}, "--tags") | ({"error": "true"} if errors else {})
    for name, value in (("--min-duration", min_duration), ("--max-duration", max_duration)):
        parameters.duration({name: value}, name)
    query = TraceQuery(
        service, window.start, window.end, operation, wanted, min_duration, max_duration, limit
    )
    results = sorted(_search(session, query), key=SORTS[sort])
    if not results:
        nothing(session, "No trace matches. Look back further with --since.", {"traces": []})
    if session.as_json:
        write_json({"traces": [_summary(trace) for trace in results]})
    else:
        _list(results)


def _search(session: Session, query: TraceQuery) -> list[TraceSummary]:
    """The newest traces of the query's service, or of all where it names none; Jaeger wants one."""
    services = [query.service] if query.service else session.sources.traces.services()
    found = (session.sources.traces.summaries(replace(query, service=name)) for name in services)
    return newest_of(found, query.limit)


def _list(traces: list[TraceSummary]) -> None:
    rows = [["trace", "start (UTC)", "duration", "spans", "errors", "root", "services"]]
    for trace in traces:
        failed = click.style(str(trace.errors), fg="red", bold=True) if trace.errors else "0"
        rows.append(
            [
                trace.trace_id,
                filters.date(trace.start),
                filters.duration(trace.duration),
                str(trace.spans),
                failed,
                one_line(trace.title, 60),
                one_line(" ".join(trace.services), 60),
            ]
        )
    table(rows, right=frozenset({2, 3, 4}))


@click.command()
@click.argument("trace_id", metavar="ID")
@click.option("--no-logs", is_flag=True, help="Leave out the log lines.")
@command()
def trace(session: Session, trace_id: str, no_logs: bool) -> None:
    """Show one trace as a waterfall with its log lines. `=` marks the critical path.

    \b
    Examples:
      dashcam trace 4bf92f3577b34da6a3ce929d0e0e4736
      dashcam trace 4bf92f3577b34da6a3ce929d0e0e4736 --json
    """
    trace_id = parameters.trace_id(trace_id)
    found = session.sources.traces.trace(trace_id)
    query = LogQuery(trace_id=trace_id, limit=LINES)
    lines = [] if no_logs else list(reversed(session.sources.logs.search(query).lines))
    if found is None or not found.spans:
        _only_lines(session, trace_id, lines)
        return
    if session.as_json:
        write_json(_whole(found, lines))
        return
    _waterfall(found, lines)


def _only_lines(session: Session, trace_id: str, lines: list[LogLine]) -> None:
    """What there is of a trace whose spans were not sampled, or are gone."""
    missing = f"Trace {trace_id} is not in the store: too new, too old, or not sampled."
    if not lines:
        nothing(session, missing, None)
    if session.as_json:
        logs = [dict(line.fields) for line in lines]
        write_json({"trace_id": trace_id, "spans": 0, "span_list": [], "logs": logs})
        return
    click.echo(f"{missing} Its {len(lines)} log lines are:\n")
    for line in lines:
        click.echo(f"{filters.date(line.time)} {_said(line)}")


def _summary(trace: TraceSummary) -> dict[str, Any]:
    return {
        "trace_id": trace.trace_id,
        "service": trace.root_service or None,
        "operation": trace.root_operation or None,
        "start": filters.iso(trace.start),
        "duration_us": trace.duration,
        "spans": trace.spans,
        "errors": trace.errors,
        "services": dict(trace.services),
    }


def _whole(trace: Trace, lines: list[LogLine]) -> dict[str, Any]:
    spans = [
        {
            "span_id": span.span_id,
            "parent_id": span.parent_id,
            "service": span.service,
            "operation": span.operation,
            "kind": span.kind,
            "start": filters.iso(span.start),
            "duration_us": span.duration,
            "error": span.failed,
            "attributes": dict(span.attributes),
            "events": [
                {"time": filters.iso(one.time), "name": one.name, "attributes": dict(one.attributes)}
                for one in span.events
            ],
        }
        for span in trace.spans
    ]
    return {
        **_summary(TraceSummary.of(trace)),
        "span_list": spans,
        "logs": [dict(line.fields) for line in lines],
    }


def _waterfall(trace: Trace, lines: list[LogLine]) -> None:
    width = max(80, min(200, shutil.get_terminal_size((120, 24)).columns))
    names = int(width * 0.5)
    bar = width - names - 14
    tree = Tree(trace)
    path = critical_path(trace, tree)
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(trace.services)}
    click.echo(
        f"{click.style(one_line(TraceSummary.of(trace).title), bold=True)}  {trace.trace_id}\n"
        f"{filters.date(trace.start)} UTC, {filters.duration(trace.duration)}, {len(trace.spans)} spans, "
        f"{trace.errors} errors, {len(lines)} log lines\n"
    )
    for node in tree.nodes():
        span = node.span
        indent = "  " * min(node.depth, 20)
        mark = click.style(" error", fg="red", bold=True) if span.failed else ""
        name = one_line(span.service, 60)
        room = names - len(indent) - len(span.service) - 1 - len(click.unstyle(mark))
        operation = one_line(f"{span.operation} {span.target}", max(8, room))
        label = f"{indent}{click.style(name, fg=colours[span.service])} {operation}{mark}"
        space = " " * max(1, names - len(click.unstyle(label)))
        drawn = _bar(span, trace, bar, path.get(span.span_id, ()), colours[span.service])
        click.echo(f"{label}{space}{drawn} {filters.duration(span.duration):>10}")
        _details(span, trace, indent + "    ", [line for line in lines if line.span_id == span.span_id])
    loose = [line for line in lines if line.span_id not in trace.by_id]
    for line in loose:
        click.echo(f"    {_line(line, trace)}")


def _bar(span: Span, trace: Trace, width: int, critical: tuple[tuple[int, int], ...], colour: str) -> str:
    scale = width / max(1, trace.duration)
    start = min(width - 1, int((span.start - trace.start) * scale))
    length = max(1, min(width - start, round(span.duration * scale)))
    cells = [" "] * start + ["-"] * length + [" "] * (width - start - length)
    for begin, end in critical:
        first = min(width - 1, int((begin - trace.start) * scale))
        for place in range(first, max(first + 1, min(width, int((end - trace.start) * scale)))):
            cells[place] = "=" if cells[place] != " " else " "
    return click.style("".join(cells), fg=colour)


def _details(span: Span, trace: Trace, indent: str, lines: list[LogLine]) -> None:
    for event in span.exceptions:
        kind = one_line(str(event.attributes.get("exception.type", "exception")))
        message = one_line(str(event.attributes.get("exception.message", "")))
        click.echo(f"{indent}{click.style(kind, fg='red')}: {message}")
    for line in lines:
        click.echo(f"{indent}{_line(line, trace)}")


def _line(line: LogLine, trace: Trace) -> str:
    since = filters.duration(line.time - trace.start)
    return f"+{since} {_said(line)}"


def _said(line: LogLine) -> str:
    return f"{severity(line)} {one_line(line.service, 30)} {one_line(line.message)}"


def severity(line: LogLine) -> str:
    """The severity of a line in its colour."""
    colour = {"ERROR": "red", "FATAL": "red", "WARN": "yellow", "INFO": "blue"}.get(line.severity)
    return click.style(f"{one_line(line.severity, 5):<5}", fg=colour)
