"""Writing a time's telemetry to a file, from any sources: `dashcam export`."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from statistics import median
from typing import IO, Any

import orjson

from dashcam.archive import openmetrics, otlp_lines
from dashcam.archive.contents import LOGS, MANIFEST, METRICS, TRACES, Contents, as_json
from dashcam.sources import LogLine, LogQuery, Series, Sources, TraceQuery
from dashcam.version import VERSION

MOST_TRACES, SHORTEST = 500, 10_000
"""Traces that one search is asked for, and the microseconds that are not halved any further."""
PAGE = 2000
"""Log lines that one search is asked for."""
LEAD = 60.0
"""Seconds before the time of which metrics are kept too, for the rates of its first seconds."""
USUAL_INTERVAL = 15.0


@dataclass
class _Counts:
    """What was written so far."""

    spans: int = 0
    lines: int = 0
    samples: int = 0
    services: set[str] = field(default_factory=set)
    intervals: list[float] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)


def export(sources: Sources, path: Path, start: float, end: float) -> Contents:
    """Write all telemetry from `start` to `end` (Unix seconds) to the file at `path`. Raises SourceError.

    The file is there only once it is whole.
    """
    counts = _Counts()
    partial = path.with_name(f"{path.name}.part")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open(TRACES, "w", force_zip64=True) as file:
                _traces(sources, file, int(start * 1e6), int(end * 1e6), counts)
            with archive.open(LOGS, "w", force_zip64=True) as file:
                _logs(sources, file, int(start * 1e6), int(end * 1e6), counts)
            with archive.open(METRICS, "w", force_zip64=True) as file:
                _metrics(sources, file, start - LEAD, end, counts)
            contents = Contents(
                start,
                end,
                tuple(sorted(counts.services)),
                counts.spans,
                counts.lines,
                counts.samples,
                median(counts.intervals) if counts.intervals else USUAL_INTERVAL,
                tuple(counts.cut),
                f"dashcam {VERSION}",
            )
            archive.writestr(MANIFEST, as_json(contents))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return contents


def _traces(sources: Sources, file: IO[bytes], start: int, end: int, counts: _Counts) -> None:
    known: set[tuple[str, str]] = set()
    for service in sources.traces.services():
        for resource in _resources(sources, service, start, end, counts):
            # A trace comes once for each of its services: each of its spans is written once.
            if fresh := _unseen(resource, known):
                counts.spans += sum(len(scope["spans"]) for scope in fresh["scopeSpans"])
                counts.services.add(service)
                _line(file, {"resourceSpans": [fresh]})


def _resources(
    sources: Sources, service: str, start: int, end: int, counts: _Counts
) -> Iterator[dict[str, Any]]:
    """The spans of a time, in halves where a search would not give all of it."""
    found = sources.traces.otlp_search(TraceQuery(service, start, end, limit=MOST_TRACES))
    traces = {span.get("traceId") for one in found for scope in one["scopeSpans"] for span in scope["spans"]}
    if len(traces) >= MOST_TRACES and end - start > SHORTEST:
        middle = (start + end) // 2
        yield from _resources(sources, service, start, middle, counts)
        yield from _resources(sources, service, middle + 1, end, counts)
        return
    if len(traces) >= MOST_TRACES:
        counts.cut.append(f"traces of {service}: more than {MOST_TRACES} within {SHORTEST / 1000:g} ms")
    yield from found


def _unseen(resource: Mapping[str, Any], known: set[tuple[str, str]]) -> dict[str, Any] | None:
    scopes = []
    for scope in resource.get("scopeSpans", ()):
        spans = []
        for span in scope.get("spans", ()):
            key = span.get("traceId", ""), span.get("spanId", "")
            if key not in known:
                known.add(key)
                spans.append(span)
        if spans:
            scopes.append({**scope, "spans": spans})
    return {**resource, "scopeSpans": scopes} if scopes else None


def _logs(sources: Sources, file: IO[bytes], start: int, end: int, counts: _Counts) -> None:
    for page in _pages(sources, start, end, counts):
        counts.lines += len(page)
        # One message for lines in a row of one logger: their order is kept.
        for (service, logger), lines in groupby(page, _where):
            counts.services.add(service)
            _line(file, otlp_lines.message(service, logger, lines))


def _where(line: LogLine) -> tuple[str, str]:
    return line.service, str(line.fields.get("logger", ""))


def _pages(sources: Sources, start: int, end: int, counts: _Counts) -> Iterator[Sequence[LogLine]]:
    """All lines of a time, the newest page first, each page by time."""
    until, border = end, set[bytes]()
    while True:
        page = sources.logs.search(LogQuery(start=start, end=until, limit=PAGE))
        fresh = [line for line in page.lines if line.identity not in border]
        if fresh:
            yield sorted(fresh, key=lambda line: line.time)
        if page.total <= len(page.lines) or not page.lines:
            return
        oldest = min(line.time for line in page.lines)
        if oldest + 1 >= until:
            counts.cut.append(f"log lines: more than {PAGE} at one time")
            return
        # Of those with the very same time some may be on the next page: that time is asked for again.
        until = oldest + 1
        border = {line.identity for line in page.lines if line.time == oldest}


def _metrics(sources: Sources, file: IO[bytes], start: float, end: float, counts: _Counts) -> None:
    for name in sources.metrics.label_values("__name__"):
        series = sources.metrics.samples(f'{{__name__="{name}"}}', start, end)
        if not series:
            continue
        counts.samples += sum(len(one.points) for one in series)
        counts.intervals += _intervals(series)
        file.writelines(line.encode() for line in openmetrics.family(name, series))
    file.write(openmetrics.END.encode())


def _intervals(series: Sequence[Series]) -> list[float]:
    gaps = [later - earlier for one in series for (earlier, _), (later, _) in pairwise(one.points)]
    return [median(gaps)] if gaps else []


def _line(file: IO[bytes], message: Mapping[str, Any]) -> None:
    file.write(orjson.dumps(message) + b"\n")
