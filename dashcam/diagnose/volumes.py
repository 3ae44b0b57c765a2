"""Causes that counts show: more work for each request, more lines, more series, fewer cached answers."""

from __future__ import annotations

import math
from collections.abc import Mapping

from dashcam.diagnose import evidence
from dashcam.diagnose.findings import WASTE, Cause, Evidence, Step
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.processes import services
from dashcam.diagnose.significance import LIKELY, busier
from dashcam.diagnose.steps import Points, amount, ratio, step
from dashcam.diagnose.symptoms import BUSY, grouped, total
from dashcam.sources import Series

MORE, LEAST_MORE = 1.6, 0.7
"""Statements or calls for each request: from MORE times the usual, plus LEAST_MORE, on."""
LINES = 5.0
"""Log lines for each request more than usual that count."""
RUN, SERIES = 6, 40.0
"""Scrapes in a row, and series more over them, from which growth counts. A new route or status comes in a
burst and then stops; what a value without a bound adds comes with nearly every scrape."""
WARM = 15.0
"""Seconds in which a target that has come up is asked for most of what it can be asked for."""
CACHED, FEWEST_CACHED = 0.7, 6.0
"""The part of the 304 answers that must have gone, and how many one would have expected."""
SEEN = 8
"""Requests of one client before and since, in traces, that say whether it is answered otherwise."""
CHANCE = 3.0
"""How many standard deviations (of a count: its root) must be missing for it to be no chance."""


def causes(seen: Observed, owners: Mapping[str, str]) -> list[Cause]:
    """Everything that these counts alone give as a cause. `owners` says who answers at which host:port."""
    return [*_statements(seen), *_calls(seen, owners), *_lines(seen), *growing(seen), *_uncached(seen)]


def _requests(seen: Observed) -> dict[str, list[tuple[float, float]]]:
    return {job: list(total(series)) for (job,), series in grouped(seen.named("answers"), "job").items()}


def _statements(seen: Observed) -> list[Cause]:
    found = []
    requests = _requests(seen)
    groups = grouped(seen.named("statements"), "job", "db_operation_name", "db_collection_name")
    tried = len(groups)
    for (job, verb, table), series in groups.items():
        each = ratio(total(series), requests.get(job, []), BUSY)
        change = step(each, least=LEAST_MORE, factor=MORE)
        if change and (chance := _chance(total(series), requests.get(job, []), change) * tried) <= LIKELY:
            name = f"{verb} {table}".strip() or "a statement"
            result = f"{change.during:.1f} times {name} for each request, {change.before:.1f} before"
            found.append(
                Cause(
                    "statements",
                    job,
                    name,
                    f"{job} asks its database more often: {result}",
                    WASTE,
                    1.0,
                    since=change.start,
                    until=change.end,
                    details={"statement": name},
                    evidence=(evidence.metric(seen, "statements", result),),
                    chance=chance,
                )
            )
    return found


def _calls(seen: Observed, owners: Mapping[str, str]) -> list[Cause]:
    found = []
    requests = _requests(seen)
    groups = grouped(seen.named("calls"), "job", "server_address", "server_port")
    tried = len(groups)
    for (job, host, port), series in groups.items():
        callee = owners.get(f"{host}:{port}", f"{host}:{port}")
        each = ratio(total(series), requests.get(job, []), BUSY)
        change = step(each, least=0.25, factor=MORE)
        if change and (chance := _chance(total(series), requests.get(job, []), change) * tried) <= LIKELY:
            result = f"{change.during:.2f} calls of {callee} for each request, {change.before:.2f} before"
            found.append(
                Cause(
                    "calls",
                    job,
                    callee,
                    f"{job} calls {callee} more often: {result}",
                    WASTE,
                    1.0,
                    since=change.start,
                    until=change.end,
                    details={"callee": callee},
                    evidence=(evidence.metric(seen, "calls", result),),
                    chance=chance,
                )
            )
    return found


def _chance(events: Points, requests: Points, change: Step) -> float:
    """How likely so many more events for each request are where nothing changed."""
    asked, happened = amount(requests, change), amount(events, change)
    before = Step(-math.inf, change.start, 0.0, 0.0)
    return busier(amount(events, before), amount(requests, before), happened, asked)


def _lines(seen: Observed) -> list[Cause]:
    found = []
    requests = _requests(seen)
    for (job,), series in grouped(seen.named("lines"), "job").items():
        each = ratio(total(series), requests.get(job, []), BUSY)
        if change := step(each, least=LINES, factor=2.0):
            result = f"{change.during:.0f} log lines for each request, {change.before:.1f} before"
            found.append(
                Cause(
                    "log lines",
                    job,
                    "",
                    f"{job} floods its log: {result}",
                    WASTE,
                    1.0,
                    since=change.start,
                    until=change.end,
                    evidence=(evidence.metric(seen, "lines", result),),
                )
            )
    return found


def growing(seen: Observed) -> list[Cause]:
    """Targets that expose ever more series."""
    found = []
    mine = services(seen)
    for one in seen.named("samples"):
        job = one.labels.get("job", "")
        run = _run(_warm(seen, one))
        if job not in mine or run is None:
            continue
        change = Step(run[0][0], None, run[0][1], run[-1][1])
        result = f"{change.during:.0f} series, {change.before:.0f} before, more with nearly every scrape"
        largest, shown = _largest(seen, job)
        found.append(
            Cause(
                "series",
                job,
                largest or one.labels.get("instance", ""),
                f"a label of {job}{f' ({largest})' if largest else ''} takes ever new values: {result}",
                WASTE,
                1.0,
                since=change.start,
                details={"metric": largest} if largest else {},
                evidence=(evidence.metric(seen, "samples", result), *shown),
            )
        )
    return found


def _warm(seen: Observed, one: Series) -> Points:
    """The points from when most that can be asked for was: each route's first request brings its series."""
    own = one.labels.get("job"), one.labels.get("instance")
    # A scrape that failed has no sample at all, which is no small page.
    points = [(time, value) for time, value in one.points if value > 0]
    starts = [
        value
        for each in seen.named("started")
        if (each.labels.get("job"), each.labels.get("instance")) == own
        for _, value in each.points
    ]
    if points and points[0][0] > seen.start + WARM:
        starts.append(points[0][0])
    return [(time, value) for time, value in points if time >= max(starts, default=0.0) + 2 * WARM]


def _run(points: Points) -> Points | None:
    """The last points, from where on nearly each is more than the one before; None where they are too few."""
    if not points:
        return None
    first = len(points) - 1
    while first > 0 and points[first][1] > points[max(0, first - 2)][1]:
        first -= 1
    run = points[first:]
    return run if len(run) > RUN and run[-1][1] - run[0][1] >= SERIES else None


def _largest(seen: Observed, job: str) -> tuple[str, tuple[Evidence, ...]]:
    """The family of a job that grew by the most series, and the answer that says so."""
    grown = [
        (one.points[-1][1] - one.points[0][1], one.labels.get("__name__", ""))
        for one in seen.named("families")
        if one.labels.get("job") == job and one.points
    ]
    if not grown:
        return "", ()
    shown = ", ".join(f"{name} {count:+.0f}" for count, name in sorted(grown, reverse=True)[:3])
    return max(grown)[1], (evidence.metric(seen, "families", f"series by family: {shown}"),)


def _uncached(seen: Observed) -> list[Cause]:
    found = []
    for (job, route), series in grouped(seen.named("answers"), "job", "http_route").items():
        every = total(series)
        kept = dict(total(series, lambda labels: labels.get("http_response_status_code") == "304"))
        if not kept:
            continue
        full = ratio([(time, value - kept.get(time, 0.0)) for time, value in every], every, BUSY)
        change = step(full, least=0.08)
        usual = 1 - change.before if change else 0.0
        if not change or usual - (1 - change.during) < CACHED * usual:
            continue
        expected = usual * amount(every, change)
        missing = expected - (1 - change.during) * amount(every, change)
        if expected < FEWEST_CACHED or missing < CHANCE * math.sqrt(expected):
            continue
        if _other_clients(seen, job, route, change.start):
            continue
        result = f"{1 - change.during:.0%} of the answers were 304, {usual:.0%} before"
        found.append(
            Cause(
                "uncached",
                job,
                route,
                f"{job} answers {route} in full where it said 304 before: {result}",
                WASTE,
                usual,
                since=change.start,
                until=change.end,
                details={"operation": route},
                evidence=(evidence.metric(seen, "answers", result),),
            )
        )
    return found


def _other_clients(seen: Observed, job: str, route: str, since: float) -> bool:
    """Whether traces tell that other clients ask: nobody who asked before is answered otherwise."""
    answers: dict[str, tuple[list[bool], list[bool]]] = {}
    for trace in (*seen.before, *seen.during):
        for span in trace.spans:
            status = str(span.attributes.get("http.response.status_code", ""))
            if (span.service, span.attributes.get("http.route"), span.kind) == (job, route, "server"):
                client = str(span.attributes.get("user_agent.original", ""))
                answers.setdefault(client, ([], []))[span.start >= since * 1e6].append(status == "304")
    known = [sides for sides in answers.values() if min(map(len, sides)) >= SEEN]
    after = sum(len(sides[1]) for sides in answers.values())
    if after < SEEN or not any(any(before) for before, _ in answers.values()):
        return False
    return all(sum(since) / len(since) >= (1 - CACHED) * sum(before) / len(before) for before, since in known)
