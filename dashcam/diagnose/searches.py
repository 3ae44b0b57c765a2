"""The searches for traces and log lines that stand for a whole stretch of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from dashcam.diagnose.message_spans import role
from dashcam.sources import Incomplete, LogLine, LogQuery, Sources, Trace, TraceQuery

TRACES, SLICES = 90, 4
"""Traces asked for in each slice of the time before the fault, and since, for each service that is asked."""
PROBE = 5
"""Traces that tell in which other services' traces a service is."""
ERROR = {"error": "true"}
AT_ONCE = 4
"""Searches that are under way at the same time."""
LINES = 400
"""Lines of warnings and worse that are asked for in each slice."""
SAID, PAGE = 8000, 2000
"""Lines of every level that are asked for on each side of the onset, at least, and on a page."""


def asked_for(sources: Sources, services: Sequence[str], start: float, end: float) -> list[str]:
    """The services whose traces hold those of all others: where traces begin, and who is in none of them."""
    probes = [_query(one, (start, end), limit=PROBE) for one in services]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [trace for traces in pool.map(sources.traces.summaries, probes) for trace in traces]
    begin = {trace.root_service for trace in found if trace.root_service}
    within = {service for trace in found if trace.root_service for service in trace.services}
    return sorted(begin | (set(services) - within))


def traces_of(
    sources: Sources, asked: Sequence[str], every: Sequence[str], times: Sequence[tuple[float, float]]
) -> list[Trace]:
    """Traces spread over each of the times, as the newest show only its last seconds; failed ones once more.

    Each time begins where the one before ends. Most of hundreds of services have few traces, and fewer that
    failed: one answer for the whole time holds them all, and only where it does not are its parts asked for.
    """
    slices = [
        (start + n * width, start + (n + 1) * width)
        for start, end in times
        if (width := (end - start) / SLICES) > 0
        for n in range(SLICES)
    ]
    if not slices:
        return []
    whole, found = (times[0][0], times[-1][1]), _Found(sources)
    known = found.asked({service: [_query(service, whole)] for service in asked})
    found.asked({one: [_query(one, part) for part in slices] for one in asked if one not in known})
    others = {one: [_query(one, whole, ERROR)] for one in every if one not in known}
    known = found.asked(others)
    found.asked({one: [_query(one, time, ERROR) for time in times] for one in others if one not in known})
    return sorted(found.traces.values(), key=lambda trace: trace.start)


class _Found:
    """The traces that searches find, each once."""

    def __init__(self, sources: Sources) -> None:
        self.traces: dict[str, Trace] = {}
        self._search = sources.traces.search

    def asked(self, queries: Mapping[str, Sequence[TraceQuery]]) -> set[str]:
        """Take in what the queries of each service find; for which services no answer was cut."""
        every = [(service, query) for service, some in queries.items() for query in some]
        cut = set()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = pool.map(lambda one: self._search(one[1]), every)
            for (service, query), found in zip(every, answers, strict=True):
                self.traces |= {trace.trace_id: trace for trace in found}
                if len(found) >= query.limit or isinstance(found, Incomplete):
                    cut.add(service)
        return queries.keys() - cut


def _query(
    service: str, time: tuple[float, float], tags: Mapping[str, str] | None = None, limit: int = TRACES
) -> TraceQuery:
    return TraceQuery(service, int(time[0] * 1e6), int(time[1] * 1e6), tags=tags or {}, limit=limit)


def broke(trace: Trace) -> bool:
    """Whether a request or a message of the trace failed: at its server, its sender or its consumer."""
    return any(span.failed and (span.kind == "server" or role(span)) for span in trace.spans)


def last_lines(
    sources: Sources,
    services: Sequence[str],
    time: tuple[float, float],
    said: Sequence[LogLine],
    unheard: Sequence[tuple[int, int]],
) -> dict[str, float]:
    """Return when each service last wrote a line, in Unix seconds; the time's start where it wrote none.

    `said` are all lines of the time but those in stretches of `unheard`: who wrote none of them is asked for.
    """
    heard = dict.fromkeys(services, time[0])
    known = max((until for _, until in unheard), default=0)
    newest: dict[str, int] = {}
    for line in said:
        if line.time >= known:
            newest[line.service] = max(line.time, newest.get(line.service, 0))
    for service in services:
        last = newest.get(service)
        if last is None and unheard:
            query = LogQuery(service, start=int(time[0] * 1e6), end=int(time[1] * 1e6), limit=1)
            last = next((line.time for line in sources.logs.search(query).lines), None)
        if last is not None:
            heard[service] = last / 1e6
    return heard


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
