"""What the three sources say about a stretch of time: the only part of the diagnosis that asks them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from statistics import median

from dashcam.sources import (
    Alert,
    LogLine,
    LogQuery,
    Series,
    SourceError,
    Sources,
    Trace,
    TraceQuery,
)
from observability import schema

MOST_POINTS = 240
USUAL_INTERVAL = 15.0
"""Seconds between two scrapes where they cannot be told from the data."""
TRACES_BEFORE, TRACES_DURING = 60, 90
"""Traces asked for in each slice of the time before and since the fault, for each service."""
SLICES = 4
LINES = 400
RAMP = 3
"""Scrapes before the onset that count for neither side: a rate shows a change only as its window fills."""

_COUNT = schema.HTTP_SERVER_DURATION.name + "_count"
_SUM = schema.HTTP_SERVER_DURATION.name + "_sum"
_ROUTE = "job, http_request_method, http_route"


def _rate(sample: str) -> str:
    """How much a counter grew each second, by PromQL, with what a series brought when it came up.

    `rate` compares samples of a series, and so knows nothing of what made it: the first failure of a route
    brings a series of its own with the value 1 and no increase. A series that is new on a target that was
    scraped before did grow from nothing.
    """
    new = f"({sample} unless {sample} offset WINDOW) / SECONDS and on (job, instance) up offset WINDOW == 1"
    return f"(rate({sample}[WINDOW]) and {sample} offset WINDOW or {new} or rate({sample}[WINDOW]))"


QUERIES: Mapping[str, str] = {
    "up": "up",
    "answers": f"sum by ({_ROUTE}, http_response_status_code) {_rate(_COUNT)}",
    "time": f"sum by ({_ROUTE}) {_rate(_SUM)}",
    "calls": "sum by (job, server_address, server_port) "
    f"(rate({schema.HTTP_CLIENT_DURATION.sample}[WINDOW]))",
    "statements": "sum by (job, db_operation_name, db_collection_name) "
    f"(rate({schema.DB_CLIENT_DURATION.sample}[WINDOW]))",
    "lines": f"sum by (job, severity) (rate({schema.LOG_RECORDS.sample}[WINDOW]))",
    "started": "process_start_time_seconds",
    "memory": "process_resident_memory_bytes",
    "cpu": "rate(process_cpu_seconds_total[WINDOW])",
    "busy": f"sum by (job, instance) ({schema.HTTP_SERVER_ACTIVE.sample}) "
    f"/ sum by (job, instance) ({schema.SERVER_THREADS.sample})",
    "circuit": schema.CIRCUIT_OPEN.sample,
    "dependency": schema.DEPENDENCY_UP.sample,
    "exported": f"sum by (job, error_type) {_rate(schema.SPANS_EXPORTED.sample)}",
    "dropped": "sum by (job) " + _rate(schema.SPANS_PROCESSED.sample + '{error_type!=""}'),
    "lost": f"sum by (job, instance) {_rate(schema.LOG_RECORDS_LOST.sample)}",
    "scrapes": "scrape_duration_seconds",
    "samples": "scrape_samples_post_metric_relabeling",
    "versions": schema.TARGET.sample,
}
"""What is asked of Prometheus, by name; WINDOW becomes three scrapes, SECONDS their length in seconds."""


@dataclass(frozen=True)
class Observed:
    """All that a diagnosis looks at. Times are Unix seconds; `onset` parts `before` from `during`.

    `away` names sources that did not answer. A query of `queries` is as it was asked.
    """

    start: float
    end: float
    onset: float | None = None
    series: Mapping[str, Sequence[Series]] = field(default_factory=dict)
    queries: Mapping[str, str] = field(default_factory=dict)
    alerts: Sequence[Alert] = ()
    before: Sequence[Trace] = ()
    during: Sequence[Trace] = ()
    lines_before: Sequence[LogLine] = ()
    lines_during: Sequence[LogLine] = ()
    traced: Sequence[str] = ()
    heard: Mapping[str, float] = field(default_factory=dict)
    """When each traced service wrote its last log line; `start` where it wrote none, empty: not asked."""
    away: Mapping[str, str] = field(default_factory=dict)
    console: str = ""
    detailed: bool = False
    """Whether traces and lines were asked for already."""
    interval: float = 5.0
    """Seconds between two scrapes."""

    def named(self, query: str) -> Sequence[Series]:
        return self.series.get(query, ())


def metrics(sources: Sources, start: float, end: float, console: str = "") -> Observed:
    """The metrics and alerts of the time; a source that is away is named in the answer."""
    away: dict[str, str] = {}
    interval = USUAL_INTERVAL
    series: dict[str, Sequence[Series]] = {}
    queries: dict[str, str] = {}
    alerts: list[Alert] = []
    try:
        interval = _interval(sources, end)
        seconds = max(1, round(3 * interval))
        step = max(interval, (end - start) / MOST_POINTS)
        queries = {name: _asked(text, seconds) for name, text in QUERIES.items()}
        with ThreadPoolExecutor(4) as pool:
            asked = {
                name: pool.submit(sources.metrics.range, text, start, end, step)
                for name, text in queries.items()
            }
            series = {name: answer.result() for name, answer in asked.items()}
        alerts = sources.metrics.alerts()
    except SourceError as error:
        away[error.source] = str(error)
    return Observed(
        start,
        end,
        series=series,
        queries=queries,
        alerts=tuple(alerts),
        away=away,
        console=console,
        interval=interval,
    )


def _asked(text: str, seconds: int) -> str:
    return text.replace("WINDOW", f"{seconds}s").replace("SECONDS", str(seconds))


def families(sources: Sources, seen: Observed, job: str) -> Observed:
    """`seen` with how many series each metric family of `job` has had."""
    # Of a histogram one bucket: else one new route would look like fifteen new values.
    promql = f'count by (job, __name__) ({{job="{job}",le=~"|[+]Inf"}})'
    try:
        found = sources.metrics.range(promql, seen.start, seen.end, max(1.0, (seen.end - seen.start) / 8))
    except SourceError as error:
        return replace(seen, away={**seen.away, error.source: str(error)})
    return replace(
        seen,
        series={**seen.series, "families": [*seen.named("families"), *found]},
        queries={**seen.queries, "families": promql},
    )


def _interval(sources: Sources, end: float) -> float:
    """Seconds between two scrapes, from the times of the last ones."""
    found = []
    for series in sources.metrics.range("timestamp(up)", end - 90, end, 2):
        times = sorted({round(value, 1) for _, value in series.points if math.isfinite(value)})
        found += [later - earlier for earlier, later in itertools.pairwise(times)]
    return median(found) if found else USUAL_INTERVAL


def details(sources: Sources, seen: Observed, onset: float | None) -> Observed:
    """`seen` with the traces and log lines before and since `onset`; without one, of the two halves."""
    border = onset if onset is not None else (seen.start + seen.end) / 2
    ramp, since = RAMP * seen.interval, border - seen.interval / 2
    away = dict(seen.away)
    before: list[Trace] = []
    during: list[Trace] = []
    traced: list[str] = []
    try:
        traced = sources.traces.services()
        before = _traces(sources, traced, seen.start, border - ramp, TRACES_BEFORE)
        during = _traces(sources, traced, since, seen.end, TRACES_DURING, ramp)
    except SourceError as error:
        away[error.source] = str(error)
    lines: dict[str, list[LogLine]] = {"before": [], "during": []}
    heard: dict[str, float] = {}
    try:
        lines["before"] = _lines(sources, seen.start, border - ramp)
        lines["during"] = _lines(sources, since, seen.end)
        heard = {service: _last_line(sources, service, seen.start, seen.end) for service in traced}
    except SourceError as error:
        away[error.source] = str(error)
    return replace(
        seen,
        onset=onset,
        before=before,
        during=during,
        lines_before=lines["before"],
        lines_during=lines["during"],
        traced=traced,
        heard=heard,
        away=away,
        detailed=True,
    )


def _traces(
    sources: Sources, services: Sequence[str], start: float, end: float, limit: int, ramp: float = 0.0
) -> list[Trace]:
    """Traces of each service spread over the time: the newest alone would show only its last seconds.

    Failed ones are asked for once more, from `ramp` seconds earlier on: the first failures of all come before
    any rate shows them, and may be the only ones with a cause in sight.
    """
    width = (end - start) / SLICES
    if width <= 0:
        return []
    queries = [
        TraceQuery(service, int((start + n * width) * 1e6), int((start + (n + 1) * width) * 1e6), limit=limit)
        for service in services
        for n in range(SLICES)
    ]
    queries += [
        TraceQuery(service, int((start - ramp) * 1e6), int(end * 1e6), tags={"error": "true"}, limit=limit)
        for service in services
    ]
    with ThreadPoolExecutor(4) as pool:
        found = {
            trace.trace_id: trace for traces in pool.map(sources.traces.search, queries) for trace in traces
        }
    # A client's mistake is no failure of the ramp's: it would only add good ones from before the fault.
    kept = [one for one in found.values() if one.start >= start * 1e6 or _broke(one)]
    return sorted(kept, key=lambda trace: trace.start)


def _broke(trace: Trace) -> bool:
    return any(span.failed and span.kind == "server" for span in trace.spans)


def _last_line(sources: Sources, service: str, start: float, end: float) -> float:
    found = sources.logs.search(LogQuery(service, start=int(start * 1e6), end=int(end * 1e6), limit=1)).lines
    return found[0].time / 1e6 if found else start


def _lines(sources: Sources, start: float, end: float) -> list[LogLine]:
    """The lines of warnings and worse, the newest of each quarter of the time."""
    width = (end - start) / SLICES
    if width <= 0:
        return []
    found: list[LogLine] = []
    for n in range(SLICES):
        since, until = int((start + n * width) * 1e6), int((start + (n + 1) * width) * 1e6)
        query = LogQuery(level="WARN", start=since, end=until, limit=LINES)
        found += sources.logs.search(query).lines
    return found
