"""Writing a time's telemetry to a file, from any sources: `dashcam export`."""

from __future__ import annotations

import os
import secrets
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from statistics import median
from typing import IO, Any

import orjson

from dashcam.archive import openmetrics, otlp_lines, promtool
from dashcam.archive.contents import LOGS, MANIFEST, METRICS, TRACES, Contents, as_json
from dashcam.sources import Incomplete, LogLine, LogQuery, Series, Sources, TraceQuery
from dashcam.version import VERSION

MOST_TRACES, SHORTEST = 500, 10_000
"""Traces that one search is asked for, and the microseconds that are not halved any further."""
SHORTEST_OF_ONE = 1_000_000
"""The same where a search gives a single trace: one too large for an answer is in each half that it spans."""
SPANS_A_LINE = 500
"""So that whoever reads a line, such as the store, need not take a large message at once."""
PAGE = 2000
"""Log lines that one search is asked for."""
MILLISECOND = 1000
"""Elasticsearch knows no finer time: a search until a moment gives what is of its whole millisecond."""
LEAD = 60.0
"""Seconds before the time of which metrics are kept too, for the rates of its first seconds."""
USUAL_INTERVAL = 15.0
NAMED = 20
"""Metrics that are named of those that are not in the file."""


@dataclass
class _Counts:
    """What was written so far."""

    spans: int = 0
    lines: int = 0
    samples: int = 0
    services: set[str] = field(default_factory=set)
    intervals: list[float] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)

    def miss(self, what: str) -> None:
        """Note, once, that this is not in the file."""
        if what not in self.cut:
            self.cut.append(what)


def export(sources: Sources, path: Path, start: float, end: float, *, force: bool = False) -> Contents:
    """Write all telemetry from `start` to `end` (Unix seconds) to the file at `path`.

    The file is there only once it is whole. Raises SourceError, OSError, and FileExistsError for a file that
    is there already, which `force` writes over.
    """
    counts = _Counts()
    _refuse(path, force)
    # A name that nobody else has: what happens to be there is not ours to write over or remove.
    partial = path.with_name(f".dashcam-{secrets.token_hex(8)}.part")
    try:
        with partial.open("xb") as raw, zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
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
        _refuse(path, force)  # it may have come meanwhile
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return contents


def _refuse(path: Path, force: bool) -> None:
    if not force and os.path.lexists(path):
        raise FileExistsError(f"{path} is there already")


def _traces(sources: Sources, file: IO[bytes], start: int, end: int, counts: _Counts) -> None:
    known: set[tuple[str, str]] = set()
    for service in sources.traces.services():
        for resource in _resources(sources, service, start, end, counts):
            # A trace comes once for each of its services: each of its spans is written once.
            if fresh := _unseen(resource, known):
                counts.spans += sum(len(scope["spans"]) for scope in fresh["scopeSpans"])
                counts.services.add(service)
                for piece in _pieces(fresh):
                    _line(file, {"resourceSpans": [piece]})


def _resources(
    sources: Sources, service: str, start: int, end: int, counts: _Counts
) -> Iterator[dict[str, Any]]:
    """The spans of a time, in halves where a search would not give all of it."""
    found = sources.traces.otlp_search(TraceQuery(service, start, end, limit=MOST_TRACES))
    traces = {span.get("traceId") for one in found for scope in one["scopeSpans"] for span in scope["spans"]}
    lacking = isinstance(found, Incomplete) or len(traces) >= MOST_TRACES
    shortest = SHORTEST_OF_ONE if len(traces) == 1 < MOST_TRACES else SHORTEST
    if lacking and end - start > shortest:
        middle = (start + end) // 2
        yield from _resources(sources, service, start, middle, counts)
        yield from _resources(sources, service, middle + 1, end, counts)
        return
    if len(traces) >= MOST_TRACES:
        counts.miss(f"traces of {service}: more than {MOST_TRACES} within {shortest / 1000:g} ms")
    elif lacking:
        counts.miss(f"traces of {service}: the store did not give all of those within {shortest / 1000:g} ms")
    yield from found


def _pieces(resource: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A resource's spans, so many at a time as go into a line."""
    for scope in resource["scopeSpans"]:
        spans = scope["spans"]
        for first in range(0, len(spans), SPANS_A_LINE):
            part = {**scope, "spans": spans[first : first + SPANS_A_LINE]}
            yield {**resource, "scopeSpans": [part]}


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
    until, border = end, Counter[bytes]()
    while until >= start:
        page = sources.logs.search(LogQuery(start=start, end=until, limit=PAGE))
        if fresh := _fresh(page.lines, border):
            yield sorted(fresh, key=lambda line: line.time)
        if page.exact and page.total <= len(page.lines):
            return
        if len(page.lines) < PAGE and not page.exact:
            counts.miss("log lines: the search gave up before it had seen all of them")
        if not page.lines:
            return
        oldest = min(line.time for line in page.lines)
        # Of those with the very same time some may be on the next page: that time is asked for again.
        border = Counter(line.identity for line in page.lines if line.time < oldest + MILLISECOND)
        if oldest < until:
            until = oldest
            continue
        # Asked again, the search would give the same: what is before that time comes still.
        counts.miss(f"log lines: more than {PAGE} at one time")
        until = until - 1 if oldest == until else until // MILLISECOND * MILLISECOND - 1


def _fresh(lines: Sequence[LogLine], border: Counter[bytes]) -> list[LogLine]:
    """The lines that the page before had not; a line that was written twice is in it twice."""
    fresh = []
    for line in lines:
        if border[line.identity]:
            border[line.identity] -= 1
        else:
            fresh.append(line)
    return fresh


def _metrics(sources: Sources, file: IO[bytes], start: float, end: float, counts: _Counts) -> None:
    left_out: list[str] = []
    for name in sources.metrics.label_values("__name__"):
        series = sources.metrics.samples(f"{{__name__={openmetrics.quoted(name)}}}", start, end)
        written = [one for one in series if openmetrics.plain(name, one) or promtool.reads_any_name()]
        if len(written) < len(series):
            left_out.append(name)
        if not written:
            continue
        counts.samples += sum(len(one.points) for one in written)
        counts.intervals += _intervals(written)
        file.writelines(line.encode() for line in openmetrics.family(name, written))
    if left_out:
        more = f" and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
        names = ", ".join(left_out[:NAMED]) + more
        counts.miss(f"metrics with names or labels that promtool here does not read: {names}")
    file.write(openmetrics.END.encode())


def _intervals(series: Sequence[Series]) -> list[float]:
    gaps = [later - earlier for one in series for (earlier, _), (later, _) in pairwise(one.points)]
    return [median(gaps)] if gaps else []


def _line(file: IO[bytes], message: Mapping[str, Any]) -> None:
    file.write(orjson.dumps(message) + b"\n")
