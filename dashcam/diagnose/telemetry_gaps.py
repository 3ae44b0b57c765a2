"""Whether the telemetry itself is whole: what is missing or cut is said before anything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from dashcam.diagnose import evidence
from dashcam.diagnose.findings import STOPPED, WASTE, Cause, Evidence, Step
from dashcam.diagnose.observe import RAMP, Observed
from dashcam.diagnose.processes import services
from dashcam.diagnose.searches import SLICES, TRACES
from dashcam.diagnose.steps import Points, amount, step
from dashcam.diagnose.symptoms import BUSY, grouped, total
from dashcam.sources import Series

THIN, MANY = 0.1, 50.0
"""The share of requests with a trace below which that is said, where there were at least so MANY."""
QUIET = 30.0
"""Seconds without any span of a busy service that count as missing."""


def _quiet(seen: Observed) -> float:
    """Seconds of silence that count as missing: a rate remembers requests for as long as its window."""
    return max(QUIET, (RAMP + 1) * seen.interval)


def gaps(seen: Observed, skewed: Collection[str] = ()) -> list[Cause]:
    """Everything that keeps this diagnosis from seeing all there is.

    Of services whose clocks are `skewed` nothing is late: their lines and spans say another time.
    """
    away = [
        Cause(
            "source away",
            source,
            "",
            reason,
            STOPPED,
            1.0,
            evidence=(Evidence("metrics", source, reason, "dashcam status"),),
        )
        for source, reason in seen.away.items()
    ]
    # What does not run comes before what is missing because of it.
    late = [cause for cause in (*_silent(seen), *_mute(seen)) if cause.service not in skewed]
    return [*away, *_nothing(seen), *_unscraped(seen), *_undelivered(seen), *late]


def thin(seen: Observed) -> list[str]:
    """Services of whose requests only few have a trace, in words: sampled by design, or lost."""
    if not seen.detailed or "Jaeger" in seen.away:
        return []
    spans = Counter(
        span.service
        for trace in (*seen.before, *seen.during)
        for span in trace.spans
        if span.kind == "server"
    )
    asked = 2 * SLICES * TRACES
    said = []
    for (job,), series in grouped(seen.named("answers"), "job").items():
        points = total(series)
        whole = amount(points, Step(seen.start, None, 0.0, 0.0))
        if job in _tracing(seen, spans) and whole >= MANY and spans[job] < THIN * min(whole, asked):
            share = spans[job] / whole
            said.append(f"only {share:.1%} of the requests of {job} have a trace: what is rare may be missed")
    return said


def young(seen: Observed) -> list[str]:
    """Where nothing is known from before, in words: what was wrong all along looks as if it were usual."""
    if not seen.during or seen.before or seen.past:
        return []
    first = min(trace.start for trace in seen.during) / 1e6
    return [f"nothing is known from before {evidence.clock(first)}: what was wrong by then may seem usual"]


def _nothing(seen: Observed) -> list[Cause]:
    known = {one.labels.get("job", "") for each in seen.series.values() for one in each}
    if seen.series and not services(seen) and not known & set(seen.traced) and "Prometheus" not in seen.away:
        result = "no service exposes metrics in this time"
        shown = (evidence.metric(seen, "versions", result),)
        return [Cause("no metrics", "", "", result, STOPPED, 1.0, evidence=shown)]
    return []


def _undelivered(seen: Observed) -> list[Cause]:
    found = []
    failing = {}
    for (job,), series in grouped(seen.named("exported"), "job").items():
        if change := step(total(series, lambda labels: bool(labels.get("error_type"))), least=0.2):
            failing[job] = change
    for one in seen.named("dropped"):
        if change := step(one.points, least=0.2):
            failing.setdefault(one.labels.get("job", ""), change)
    if failing:
        since = min(change.start for change in failing.values())
        jobs = ", ".join(sorted(failing))
        result = f"spans of {jobs} could not be delivered"
        found.append(
            Cause(
                "spans lost",
                jobs if len(failing) == 1 else "receiver",
                "the OTLP endpoint",
                f"{result}: the OTLP endpoint refuses them or does not answer",
                STOPPED,
                1.0,
                since=since,
                evidence=(evidence.metric(seen, "exported", result),),
            )
        )
    for one in seen.named("lost"):
        if change := step(_from_nothing(seen, one.points), least=0.05):
            job = one.labels.get("job", "")
            where = one.labels.get("instance", "")
            result = f"{job} at {where} could not write {change.during:.1f} log lines a second"
            summary = f"{result}, which are missing; its traces and metrics go on"
            shown = (evidence.metric(seen, "lost", result),)
            found.append(Cause("lines lost", job, where, summary, STOPPED, 1.0, change.start, evidence=shown))
    return found


def _from_nothing(seen: Observed, points: Points) -> Points:
    """A rate of losses at all times: nothing was lost where there was no series to count it."""
    known = dict(points)
    times = {time for one in seen.named("up") for time, _ in one.points} | known.keys()
    return [(time, known.get(time, 0.0)) for time in sorted(times)]


def _tracing(seen: Observed, traced: Iterable[str]) -> set[str]:
    """The services that send spans: who counts exports, and whoever has sent some.

    Jaeger and the Collector answer requests and count them as services do, and trace none of them.
    """
    exporting = {one.labels.get("job", "") for one in seen.named("exported")}
    return services(seen) & {*exporting, *traced}


def _silent(seen: Observed) -> list[Cause]:
    """Services that answer requests, and of which no span arrives."""
    if not seen.detailed or "Jaeger" in seen.away:
        return []
    found = []
    latest: dict[str, float] = {}
    for trace in (*seen.before, *seen.during):
        for span in trace.spans:
            latest[span.service] = max(latest.get(span.service, 0.0), span.start / 1e6)
    for (job,), series in grouped(seen.named("answers"), "job").items():
        points = total(series)
        busy = [time for time, value in points if value >= BUSY]
        since = latest.get(job, seen.start)
        if job not in _tracing(seen, latest) or len(busy) < 3 or busy[-1] - since < _quiet(seen):
            continue
        result = f"no span of {job} arrives, though it answers requests"
        shown = (evidence.metric(seen, "answers", result),)
        found.append(Cause("no spans", job, "", result, STOPPED, 1.0, since, evidence=shown))
    return found


def _mute(seen: Observed) -> list[Cause]:
    """Services that count log lines as written, and of which no line arrives."""
    found = []
    for (job,), series in grouped(seen.named("lines"), "job").items():
        busy = [time for time, value in total(series) if value >= BUSY]
        since = seen.heard.get(job)
        if since is None or len(busy) < 3 or busy[-1] - since < _quiet(seen):
            continue
        result = f"no log line of {job} arrives, though it writes them"
        shown = (evidence.metric(seen, "lines", result),)
        found.append(Cause("no lines", job, "", result, STOPPED, 1.0, since, evidence=shown))
    return found


def _unscraped(seen: Observed) -> list[Cause]:
    """Parts of the telemetry that answer no scrape; a process with two pages to scrape is one part."""
    mine, processes = services(seen), {one.labels.get("job") for one in seen.named("cpu")}
    away: dict[str, Series] = {}
    for one in seen.named("up"):
        job, instance = one.labels.get("job", ""), one.labels.get("instance", "")
        if job in mine or not one.points or one.points[-1][1] == 1:
            continue
        # The page that has the process' own metrics is the one that is called like it.
        if instance not in away or job in processes:
            away[instance] = one
    found = []
    for one in away.values():
        job = one.labels.get("job", "")
        result = f"{job} at {one.labels.get('instance', '')} answers no scrape"
        shown = (evidence.metric(seen, "up", result, f'up{{job="{job}"}}'),)
        change = step([(time, 1.0 - value) for time, value in one.points], least=0.5)
        since = change.start if change else None
        found.append(Cause("part away", job, "", result, WASTE, 1.0, since, evidence=shown))
    return found
