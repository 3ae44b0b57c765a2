"""Causes that metrics of runtimes show: no descriptor left, an event loop that stands still, a full heap."""

from __future__ import annotations

from dashcam.diagnose import evidence
from dashcam.diagnose.findings import HARM, WASTE, Cause, Step
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.steps import Points, slope, step
from dashcam.sources import Series

FULL = 0.8
"""The share of its descriptors, or of its heap, from which on a process is short of them."""
CLIMB = 0.2
"""Descriptors a second of lasting growth that count as a leak, where the limit is not known."""
DELAY, SLOWER = 0.05, 3.0
"""Seconds that an event loop is late: from SLOWER times the usual plus DELAY on."""
COLLECTING = 0.15
"""The share of its time more than usual that a process may spend on collecting garbage."""
GONE = 3
"""Scrapes in a row without a figure that a process had before, from which on it is missed."""


def causes(seen: Observed) -> list[Cause]:
    """Everything that these metrics alone give as a cause."""
    return [*_descriptors(seen), *_uncounted(seen), *_loops(seen), *_collecting(seen), *_heaps(seen)]


def _descriptors(seen: Observed) -> list[Cause]:
    found = []
    for one in seen.named("files"):
        most = _last(_same(seen, "most files", one))
        change = step(one.points, least=10.0, factor=1.3)
        if change is None or change.end is not None or not one.points:
            continue
        now = one.points[-1][1]
        since = [(time, value) for time, value in one.points if time >= change.start]
        if now < FULL * most if most else slope(since) < CLIMB:
            continue
        of = f" of {most:.0f}" if most else ""
        result = f"{now:.0f}{of} descriptors are open, {change.before:.0f} before"
        found.append(
            _cause(
                seen,
                one,
                "descriptors",
                "files",
                HARM,
                change,
                f"runs out of file descriptors: {result}",
                result,
            )
        )
    return found


def _uncounted(seen: Observed) -> list[Cause]:
    """Processes that answer scrapes and cannot count their descriptors any more: that needs one of them."""
    found = []
    for one in seen.named("files"):
        up = [time for time, value in _same(seen, "up", one) if value == 1]
        other = {time for time, _ in _same(seen, "memory", one)}
        last = one.points[-1][0] if one.points else 0.0
        without = [time for time in up if time > last and time in other]
        if not one.points or len(without) < GONE:
            continue
        result = "process_open_fds is missing from its metrics, whose other figures of the process go on"
        change = Step(without[0], None, one.points[-1][1], 0.0)
        said = f"has no file descriptor left: {result}"
        found.append(_cause(seen, one, "descriptors", "files", HARM, change, said, result))
    return found


def _loops(seen: Observed) -> list[Cause]:
    found = []
    for one in seen.named("event loop"):
        if change := step(one.points, least=DELAY, factor=SLOWER):
            took, before = evidence.seconds(change.during), evidence.seconds(change.before)
            result = f"its event loop is {took} late, {before} before"
            said = f"computes where it should wait: {result}"
            found.append(_cause(seen, one, "event loop", "event loop", WASTE, change, said, result))
    return found


def _collecting(seen: Observed) -> list[Cause]:
    found = []
    for one in seen.named("collecting"):
        if change := step(one.points, least=COLLECTING, factor=2.0):
            result = (
                f"{change.during:.0%} of its time goes into garbage collection, {change.before:.0%} before"
            )
            said = f"stands still to collect garbage: {result}"
            found.append(_cause(seen, one, "garbage", "collecting", WASTE, change, said, result))
    return found


def _heaps(seen: Observed) -> list[Cause]:
    found = []
    for one in seen.named("heap"):
        change = step(one.points, least=0.1)
        if change and change.end is None and change.during >= FULL and one.points[-1][1] >= FULL:
            result = f"{one.points[-1][1]:.0%} of its heap is used, {change.before:.0%} before"
            found.append(
                _cause(seen, one, "heap", "heap", WASTE, change, f"is short of heap: {result}", result)
            )
    return found


def _cause(
    seen: Observed, one: Series, kind: str, query: str, rank: int, change: Step, said: str, result: str
) -> Cause:
    job, instance = one.labels.get("job", ""), one.labels.get("instance", "")
    return Cause(
        kind,
        job,
        instance,
        f"{job} {said}",
        rank,
        1.0,
        since=change.start,
        until=change.end,
        details={"instance": instance},
        evidence=(evidence.metric(seen, query, result),),
    )


def _same(seen: Observed, query: str, one: Series) -> Points:
    """The points of another query of the same target."""
    own = one.labels.get("job"), one.labels.get("instance")
    return next(
        (
            each.points
            for each in seen.named(query)
            if (each.labels.get("job"), each.labels.get("instance")) == own
        ),
        (),
    )


def _last(points: Points) -> float:
    return points[-1][1] if points else 0.0
