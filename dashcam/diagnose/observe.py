"""What the three sources say about a stretch of time: the only part of the diagnosis that asks them."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from statistics import median

from dashcam.diagnose import searches
from dashcam.sources import (
    Alert,
    LogLine,
    Series,
    SourceError,
    Sources,
    Trace,
)
from observability import schema

MOST_POINTS = 240
USUAL_INTERVAL = 15.0
"""Seconds between two scrapes where they cannot be told from the data."""
LIVE = 60.0
"""Seconds ago until which a time counts as reaching until now."""
PAST, LEAST_PAST = 3.0, 300.0
"""How much of the time before is asked for: so many times as long, and so many seconds at least."""
SCRAPED, LOOKED_AT = "timestamp(up) or timestamp(process_cpu_seconds_total)", 150.0
"""What tells the times of scrapes, also where there is no `up`, and the seconds of it that are looked at."""
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


def _heap(*names: str) -> str:
    """The bytes of a process' heap, under any of these names, by PromQL."""
    which = f'__name__=~"{"|".join(names)}"'
    return f'sum by (job, instance) ({{{which},jvm_memory_type="heap"}} or {{{which},area="heap"}})'


def _queries(rate: Callable[[str], str]) -> dict[str, str]:
    return {
        "up": "up",
        "answers": f"sum by ({_ROUTE}, http_response_status_code) {rate(_COUNT)}",
        "time": f"sum by ({_ROUTE}) {rate(_SUM)}",
        "calls": "sum by (job, server_address, server_port) "
        f"(rate({schema.HTTP_CLIENT_DURATION.sample}[WINDOW]))",
        "statements": "sum by (job, db_operation_name, db_collection_name) "
        f"(rate({schema.DB_CLIENT_DURATION.sample}[WINDOW]))",
        "lines": f"sum by (job, severity) (rate({schema.LOG_RECORDS.sample}[WINDOW]))",
        "started": "process_start_time_seconds",
        "memory": "process_resident_memory_bytes",
        "cpu": "rate(process_cpu_seconds_total[WINDOW])",
        "files": "process_open_fds",
        "most files": "process_max_fds",
        # As the semantic conventions have it, and as the client libraries of each language did before.
        "event loop": 'max by (job, instance) ({__name__=~"nodejs_eventloop_(lag|delay)_p99_seconds"})',
        "collecting": "sum by (job, instance) "
        '(rate({__name__=~"jvm_gc_(duration|pause|collection)_seconds_sum"}[WINDOW]))',
        "heap": f"{_heap('jvm_memory_used_bytes', 'jvm_memory_bytes_used')} "
        f"/ ({_heap('jvm_memory_limit_bytes', 'jvm_memory_max_bytes', 'jvm_memory_bytes_max')} > 0)",
        "busy": f"sum by (job, instance) ({schema.HTTP_SERVER_ACTIVE.sample}) "
        f"/ sum by (job, instance) ({schema.SERVER_THREADS.sample})",
        "circuit": schema.CIRCUIT_OPEN.sample,
        "dependency": schema.DEPENDENCY_UP.sample,
        "exported": f"sum by (job, error_type) {rate(schema.SPANS_EXPORTED.sample)}",
        "dropped": "sum by (job) " + rate(schema.SPANS_PROCESSED.sample + '{error_type!=""}'),
        "lost": f"sum by (job, instance) {rate(schema.LOG_RECORDS_LOST.sample)}",
        "scrapes": "scrape_duration_seconds",
        "samples": "scrape_samples_post_metric_relabeling",
        "versions": schema.TARGET.sample,
        # Messages, by the semantic conventions; and whatever says how old the oldest of what waits is.
        "sent": "sum by (job, messaging_system, messaging_destination_name, error_type) "
        + rate("messaging_client_sent_messages_total"),
        "consumed": "sum by (job, messaging_destination_name, messaging_consumer_group_name) "
        + rate("messaging_client_consumed_messages_total"),
        "ages": "max by (__name__, job, messaging_destination_name, messaging_consumer_group_name, step) "
        '({__name__=~".+_oldest_age_seconds"})',
    }


QUERIES: Mapping[str, str] = _queries(_rate)
"""What is asked of Prometheus, by name; WINDOW becomes three scrapes, SECONDS their length in seconds."""
SHORT: Mapping[str, str] = _queries(lambda sample: f"(rate({sample}[WINDOW]))")
"""The same, short enough to type: it misses only what made a series."""


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
    past: Sequence[Trace] = ()
    lines_past: Sequence[LogLine] = ()
    """What the sources kept of the time before `start`, where the time itself is too short."""
    said: Sequence[LogLine] = ()
    """Lines of every level, of all times. The others are warnings and worse."""
    unheard: Sequence[tuple[int, int]] = ()
    """Stretches, in microseconds, of which not every line is known."""
    traced: Sequence[str] = ()
    heard: Mapping[str, float] = field(default_factory=dict)
    """When each traced service wrote its last log line; `start` where it wrote none, empty: not asked."""
    away: Mapping[str, str] = field(default_factory=dict)
    console: str = ""
    detailed: bool = False
    """Whether traces and lines were asked for already."""
    interval: float = 5.0
    """Seconds between two scrapes."""
    live: bool = True
    """Whether the time reaches until now: then what is asked again needs no moment."""

    def wholly_heard(self, since: int, until: int) -> bool:
        """Whether every line of this time, in microseconds, is known."""
        return not any(start <= until and since < end for start, end in self.unheard)

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
        live=end > time.time() - LIVE,
    )


def short(seen: Observed, query: str) -> str:
    """A query as one would type it."""
    return _asked(SHORT.get(query, query), max(1, round(3 * seen.interval)))


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
    for series in sources.metrics.range(SCRAPED, end - LOOKED_AT, end, 2):
        times = sorted({round(value, 1) for _, value in series.points if math.isfinite(value)})
        found += [later - earlier for earlier, later in itertools.pairwise(times)]
    return median(found) if found else USUAL_INTERVAL


def details(sources: Sources, seen: Observed, onset: float | None) -> Observed:
    """`seen` with traces and log lines, before and since `onset`; without one, spread over the whole time."""
    away = dict(seen.away)
    traces: list[Trace] = []
    traced: list[str] = []
    times = _times(seen, onset)
    try:
        traced = sources.traces.services()
        asked = searches.asked_for(sources, traced, seen.start, seen.end)
        traces = searches.traces_of(sources, asked, traced, times)
    except SourceError as error:
        away[error.source] = str(error)
    lines: list[LogLine] = []
    said: list[LogLine] = []
    unheard: list[tuple[int, int]] = []
    heard: dict[str, float] = {}
    try:
        for start, end in times:
            lines += searches.warnings(sources, start, end)
            part, unknown = searches.said(sources, start, end)
            said, unheard = [*said, *part], [*unheard, *unknown]
        heard = searches.last_lines(sources, traced, (seen.start, seen.end), said, unheard)
    except SourceError as error:
        away[error.source] = str(error)
    seen = replace(
        seen,
        before=(),
        during=traces,
        lines_during=lines,
        said=said,
        unheard=unheard,
        traced=traced,
        heard=heard,
        away=away,
        detailed=True,
    )
    return parted(seen, onset)


def _times(seen: Observed, onset: float | None) -> list[tuple[float, float]]:
    """The stretches that are asked for: each side of the onset by itself, so that the shorter is seen too."""
    if onset is None:
        middle = (seen.start + seen.end) / 2
        return [(seen.start, middle), (middle, seen.end)]
    border = max(seen.start, onset - RAMP * seen.interval)
    return [each for each in ((seen.start, border), (border, seen.end)) if each[0] < each[1]]


def parted(seen: Observed, onset: float | None) -> Observed:
    """`seen` with its traces and lines before and since `onset`; without one, of the two halves."""
    border = onset if onset is not None else (seen.start + seen.end) / 2
    ramp, since = RAMP * seen.interval, border - seen.interval / 2
    traces, lines = [*seen.before, *seen.during], [*seen.lines_before, *seen.lines_during]
    # The first failures come before any rate shows them, and may be the only ones with a cause in sight. A
    # client's mistake is none of them: it would only add good ones from before the fault.
    return replace(
        seen,
        onset=onset,
        before=[one for one in traces if one.start < (border - ramp) * 1e6],
        during=[
            one
            for one in traces
            if one.start >= since * 1e6 or (one.start >= (since - ramp) * 1e6 and searches.broke(one))
        ],
        lines_before=[line for line in lines if line.time < (border - ramp) * 1e6],
        lines_during=[line for line in lines if line.time >= since * 1e6],
    )


def past(sources: Sources, seen: Observed) -> Observed:
    """`seen` with what the sources kept of the time before it, for what is usual."""
    start = seen.start - max(LEAST_PAST, PAST * (seen.end - seen.start))
    try:
        asked = searches.asked_for(sources, seen.traced, start, seen.start)
        traces = searches.traces_of(sources, asked, seen.traced, [(start, seen.start)])
        lines = searches.warnings(sources, start, seen.start)
        said, unheard = searches.said(sources, start, seen.start)
        longer = {
            name: sources.metrics.range(seen.queries[name], start, seen.end, seen.interval)
            for name in ("cpu", "memory")
            if name in seen.queries
        }
    except SourceError:
        return seen  # which is told already, by what was asked first
    return replace(
        seen,
        series={**seen.series, **longer},
        past=traces,
        lines_past=lines,
        said=[*said, *seen.said],
        unheard=[*unheard, *seen.unheard],
    )
