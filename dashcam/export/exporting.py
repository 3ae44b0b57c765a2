"""Writing a time's telemetry to a file, from any sources: `dashcam export`, and the console's downloads."""

from __future__ import annotations

import contextlib
import os
import secrets
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from pathlib import Path
from statistics import median
from typing import IO, Any

import orjson

from dashcam.export import openmetrics, otlp_lines
from dashcam.export.contents import LOGS, MANIFEST, METRICS, TRACES, Contents, as_json
from dashcam.export.selection import Bound, Part, Selection
from dashcam.sources import Incomplete, LogLine, LogQuery, Series, SourceError, Sources, TraceQuery
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
NAMES, NAMES_AN_HOUR = 25, 10
"""Metrics that are asked for at once, at most and of an hour."""
NAMED = 20
"""Metrics that are named of those that are not in the file."""
PARTS = 3
"""Traces, log lines, metrics: each of another source."""


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


def export(
    sources: Sources,
    path: Path,
    start: float,
    end: float,
    *,
    only: Selection | None = None,
    bound: Bound | None = None,
    any_name: bool = False,
    force: bool = False,
) -> Contents:
    """Write the telemetry from `start` to `end` (Unix seconds), or a selection of it, to the file at `path`.

    The file is there only once it is written to its end. What a source that fails does not give is named in
    it; where no source gives anything, SourceError is raised and there is no file. `any_name`: whoever reads
    it knows metrics by any name, as Prometheus 3 does. Raises OSError too, and FileExistsError for a file
    that is there already, which `force` writes over.
    """
    counts, only, lost = _Counts(), only or Selection(), list[SourceError]()
    _refuse(path, force)
    # A name that nobody else has: what happens to be there is not ours to write over or remove.
    partial = path.with_name(f".dashcam-{secrets.token_hex(8)}.part")
    try:
        with partial.open("xb") as raw, zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open(TRACES, "w", force_zip64=True) as file, _or_named("traces", counts, lost):
                _traces(_File(file, Part(bound)), _found(sources, only.traces, start, end, counts), counts)
            with archive.open(LOGS, "w", force_zip64=True) as file, _or_named("log lines", counts, lost):
                _logs(_File(file, Part(bound)), sources, only.lines, int(start * 1e6), int(end * 1e6), counts)
            with archive.open(METRICS, "w", force_zip64=True) as file:
                with _or_named("metrics", counts, lost):
                    _metrics(_File(file, Part(bound)), sources, start - LEAD, end, counts, any_name)
                file.write(openmetrics.END.encode())
            if len(lost) == PARTS:
                raise lost[0]
            archive.writestr(MANIFEST, as_json(contents := _contents(counts, start, end)))
        _refuse(path, force)  # it may have come meanwhile
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return contents


@contextlib.contextmanager
def _or_named(what: str, counts: _Counts, lost: list[SourceError]) -> Iterator[None]:
    """Write a part; where its source fails, what it gave stays, and the rest is named as missing."""
    try:
        yield
    except SourceError as error:
        lost.append(error)
        counts.miss(f"{what}: {error.source}: {error.reason}")


def _contents(counts: _Counts, start: float, end: float) -> Contents:
    return Contents(
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


@dataclass
class _File:
    """A part of the file that is being written."""

    file: IO[bytes]
    part: Part

    def write(self, text: bytes) -> None:
        self.part.taken += self.file.write(text)

    def message(self, message: Mapping[str, Any]) -> None:
        """One line of JSON."""
        self.write(orjson.dumps(message) + b"\n")

    def full(self, counts: _Counts, what: str) -> bool:
        """Whether nothing more goes into it; then it is noted that some of `what` is not in it."""
        if full := self.part.full():
            counts.miss(f"{what}: more than go into {self.part.bound}")
        return full


def _refuse(path: Path, force: bool) -> None:
    if not force and os.path.lexists(path):
        raise FileExistsError(f"{path} is there already")


def _traces(file: _File, resources: Iterable[tuple[str, dict[str, Any]]], counts: _Counts) -> None:
    known: set[tuple[str, str]] = set()
    for service, resource in resources:
        if file.full(counts, "traces"):
            return
        # A trace comes once for each of its services: each of its spans is written once.
        if fresh := _unseen(resource, known):
            counts.spans += sum(len(scope["spans"]) for scope in fresh["scopeSpans"])
            counts.services.add(service)
            for piece in _pieces(fresh):
                file.message({"resourceSpans": [piece]})


def _found(
    sources: Sources, chosen: Sequence[str] | None, start: float, end: float, counts: _Counts
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The resources of the traces that are wanted, each with a service that it is of."""
    if chosen is None:
        for service in sources.traces.services():
            for resource in _resources(sources, service, int(start * 1e6), int(end * 1e6), counts):
                yield service, resource
        return
    for trace_id in chosen:
        body = sources.traces.otlp_json(trace_id)
        if body is None:
            counts.miss(f"trace {trace_id}: it is not in the store any more")
            continue
        for resource in orjson.loads(body).get("resourceSpans", ()):
            yield _service(resource), resource


def _service(resource: Mapping[str, Any]) -> str:
    attributes = (resource.get("resource") or {}).get("attributes") or ()
    names = (one["value"].get("stringValue", "") for one in attributes if one.get("key") == "service.name")
    return str(next(names, "unknown_service"))


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


def _logs(
    file: _File, sources: Sources, wanted: Sequence[LogQuery] | None, start: int, end: int, counts: _Counts
) -> None:
    for query in (LogQuery(),) if wanted is None else wanted:
        for page in _pages(sources, replace(query, start=start, end=end), counts):
            if file.full(counts, "log lines"):
                return
            counts.lines += len(page)
            # One message for lines in a row of one logger: their order is kept.
            for (service, logger), lines in groupby(page, _where):
                counts.services.add(service)
                file.message(otlp_lines.message(service, logger, lines))


def _where(line: LogLine) -> tuple[str, str]:
    return line.service, str(line.fields.get("logger", ""))


def _pages(sources: Sources, query: LogQuery, counts: _Counts) -> Iterator[Sequence[LogLine]]:
    """All lines that match, the newest page first, each page by time."""
    start, until, border = query.start or 0, query.end or 0, Counter[bytes]()
    while until >= start:
        page = sources.logs.search(replace(query, end=until, limit=PAGE))
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


def _metrics(
    file: _File, sources: Sources, start: float, end: float, counts: _Counts, any_name: bool
) -> None:
    left_out: list[str] = []
    for names in _some(sources.metrics.label_values("__name__"), end - start):
        if file.full(counts, "metrics"):
            break
        found = sources.metrics.samples(f"{{__name__{openmetrics.matching(names)}}}", start, end)
        for name in names:
            series = [one for one in found if one.labels.get("__name__") == name]
            written = [one for one in series if any_name or openmetrics.plain(name, one)]
            if len(written) < len(series):
                left_out.append(name)
            if not written:
                continue
            counts.samples += sum(len(one.points) for one in written)
            counts.intervals += _intervals(written)
            for line in openmetrics.family(name, written):
                file.write(line.encode())
    if left_out:
        more = f" and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
        names = ", ".join(left_out[:NAMED]) + more
        counts.miss(f"metrics with names or labels that promtool here does not read: {names}")


def _some(names: Sequence[str], seconds: float) -> Iterator[Sequence[str]]:
    """So many names at a time as an answer should hold samples of: a question for each takes long."""
    size = max(1, min(NAMES, int(NAMES_AN_HOUR * 3600 / seconds)))
    plain = [name for name in names if openmetrics.NAME.fullmatch(name)]
    yield from ([name] for name in names if not openmetrics.NAME.fullmatch(name))
    yield from (plain[first : first + size] for first in range(0, len(plain), size))


def _intervals(series: Sequence[Series]) -> list[float]:
    gaps = [later - earlier for one in series for (earlier, _), (later, _) in pairwise(one.points)]
    return [median(gaps)] if gaps else []
