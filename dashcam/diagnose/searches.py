"""The searches for traces and log lines that stand for a whole stretch of time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from dashcam.sources import LogLine, LogQuery, Sources, Trace, TraceQuery

TRACES, SLICES = 90, 4
"""Traces asked for in each slice of the time before the fault, and since, for each service that is asked."""
PROBE = 5
"""Traces that tell in which other services' traces a service is."""
LINES = 400
"""Lines of warnings and worse that are asked for in each slice."""
SAID, PAGE = 8000, 2000
"""Lines of every level that are asked for on each side of the onset, at least, and on a page."""


def asked_for(sources: Sources, services: Sequence[str], start: float, end: float) -> list[str]:
    """The services whose traces hold those of all others: where traces begin, and who is in none of them."""
    probes = [TraceQuery(one, int(start * 1e6), int(end * 1e6), limit=PROBE) for one in services]
    with ThreadPoolExecutor(4) as pool:
        found = [trace for traces in pool.map(sources.traces.search, probes) for trace in traces]
    begin = {trace.root.service for trace in found if trace.root}
    within = {service for trace in found if trace.root for service in trace.services}
    return sorted(begin | (set(services) - within))


def traces_of(
    sources: Sources, asked: Sequence[str], every: Sequence[str], start: float, end: float
) -> list[Trace]:
    """Traces spread over the time, as the newest show only its last seconds; failed ones once more."""
    width = (end - start) / SLICES
    if width <= 0:
        return []
    queries = [
        TraceQuery(
            service, int((start + n * width) * 1e6), int((start + (n + 1) * width) * 1e6), limit=TRACES
        )
        for service in asked
        for n in range(SLICES)
    ]
    queries += [
        TraceQuery(service, int(start * 1e6), int(end * 1e6), tags={"error": "true"}, limit=TRACES)
        for service in every
    ]
    with ThreadPoolExecutor(4) as pool:
        found = {
            trace.trace_id: trace for traces in pool.map(sources.traces.search, queries) for trace in traces
        }
    return sorted(found.values(), key=lambda trace: trace.start)


def broke(trace: Trace) -> bool:
    """Whether a server span of the trace failed."""
    return any(span.failed and span.kind == "server" for span in trace.spans)


def last_line(sources: Sources, service: str, start: float, end: float) -> float:
    """Return when the service last wrote a line, in Unix seconds; `start` where it wrote none."""
    found = sources.logs.search(LogQuery(service, start=int(start * 1e6), end=int(end * 1e6), limit=1)).lines
    return found[0].time / 1e6 if found else start


def warnings(sources: Sources, start: float, end: float) -> list[LogLine]:
    """The lines of warnings and worse, the newest of each quarter of the time."""
    return [
        line for query in _quarters(start, end, "WARN", LINES) for line in sources.logs.search(query).lines
    ]


def said(sources: Sources, start: float, end: float) -> tuple[list[LogLine], list[tuple[int, int]]]:
    """The newest lines of a time, of every level, and the stretch before them if there are too many."""
    lines: list[LogLine] = []
    begin, until = int(start * 1e6), int(end * 1e6)
    while len(lines) < SAID:
        page = sources.logs.search(LogQuery(start=begin, end=until, limit=PAGE))
        lines += page.lines
        if not page.lines or page.total <= len(page.lines):
            return lines, []
        # Of those with the very same time some may be on the next page: they come twice rather than never.
        oldest = min(line.time for line in page.lines)
        if oldest >= until:
            break
        until = oldest
    return lines, [(begin, until)]


def _quarters(start: float, end: float, level: str, limit: int) -> list[LogQuery]:
    width = (end - start) / SLICES
    return [
        LogQuery(
            level=level,
            start=int((start + n * width) * 1e6),
            end=int((start + (n + 1) * width) * 1e6),
            limit=limit,
        )
        for n in range(SLICES if width > 0 else 0)
    ]
