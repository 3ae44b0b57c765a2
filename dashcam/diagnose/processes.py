"""Causes that metrics of processes show: away, restarting, starved, leaking, saturated, a dependency away."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from statistics import mean

from dashcam.diagnose import evidence
from dashcam.diagnose.findings import HARM, STOPPED, WASTE, Cause, Step
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.steps import LEAST, slope, step
from dashcam.diagnose.symptoms import grouped, total
from dashcam.sources import Series

RESTARTS = 2
LEAK = 100_000.0
"""Bytes a second of lasting growth that counts as a leak."""
GROWN = 0.2
"""The share by which the memory must have grown with it."""
CPU = 0.3
"""Processor seconds a second more than usual that count."""
SPARSE = 30.0
"""Seconds between two points of processor use from which on one of them says something by itself."""
ASKED = 0.7
"""The part of the growth of processor use that more requests must explain for it to be theirs."""
SATURATED = 0.8


def services(seen: Observed) -> set[str]:
    """The jobs that serve requests or send spans: what else is scraped is a part of the telemetry."""
    return {one.labels.get("job", "") for name in ("busy", "versions") for one in seen.named(name)} - {""}


def causes(seen: Observed) -> list[Cause]:
    """Everything that these metrics alone give as a cause."""
    mine = services(seen) | set(seen.traced)
    found = [*_down(seen), *_restarting(seen), *_leaking(seen), *burning(seen), *_saturated(seen)]
    return [cause for cause in [*found, *_dependencies(seen)] if cause.service in mine]


def _down(seen: Observed) -> list[Cause]:
    found = []
    for one in seen.named("up"):
        job, instance = one.labels.get("job", ""), one.labels.get("instance", "")
        last = [value for time, value in one.points if time > seen.end - 20]
        change = step([(time, 1.0 - value) for time, value in one.points], least=0.5)
        if not last or any(last[-2:]) or not change:
            continue
        everywhere = grouped(seen.named("up"), "job")[(job,)]
        away = sum(not each.points[-1][1] for each in everywhere if each.points)
        result = (
            f"{away} of {len(everywhere)} instances answer no scrape since {evidence.clock(change.start)}"
        )
        found.append(
            Cause(
                "down",
                job,
                instance,
                f"{job} is down: its instance {instance} does not answer",
                STOPPED,
                away / len(everywhere),
                since=change.start,
                details={"instance": instance},
                evidence=(evidence.metric(seen, "up", result, _of("up", job)),),
            )
        )
    return found


def _restarting(seen: Observed) -> list[Cause]:
    found = []
    for one in seen.named("started"):
        job, instance = one.labels.get("job", ""), one.labels.get("instance", "")
        starts = [(time, value) for time, value in one.points if value > seen.start]
        moments = sorted({round(value) for _, value in starts})
        ends = len(moments) + max(0, _drops(seen, job, instance) - 1) if moments else 0
        if ends < RESTARTS:
            continue
        result = (
            f"seen to start {len(moments)} times, at {', '.join(evidence.clock(one) for one in moments[-5:])}"
        )
        found.append(
            Cause(
                "restarting",
                job,
                instance,
                f"{job} keeps ending and being started again ({ends} times)",
                STOPPED,
                1.0,
                since=float(moments[0]),
                details={"instance": instance},
                evidence=(
                    evidence.metric(seen, "started", result, f'process_start_time_seconds{{job="{job}"}}'),
                ),
            )
        )
    return found


def _drops(seen: Observed, job: str, instance: str) -> int:
    """How often an instance stopped answering scrapes: one that ends soon may never be seen to start."""
    of = (
        one
        for one in seen.named("up")
        if (one.labels.get("job"), one.labels.get("instance")) == (job, instance)
    )
    return sum(
        earlier == 1 and later == 0
        for one in of
        for (_, earlier), (_, later) in itertools.pairwise(one.points)
    )


def _leaking(seen: Observed) -> list[Cause]:
    found = []
    for one in seen.named("memory"):
        change = step(one.points, least=20e6, factor=1 + GROWN)
        if not change:
            continue
        since = [(time, value) for time, value in one.points if time >= change.start]
        growth = slope(since)
        # Half of its own growth on from the border, or it was a step and not a leak.
        if growth < LEAK or change.end is not None or not _monotone(since):
            continue
        job = one.labels.get("job", "")
        result = f"grows by {growth / 1e6:.1f} MB a second, to {one.points[-1][1] / 1e6:.0f} MB"
        found.append(
            Cause(
                "memory",
                job,
                one.labels.get("instance", ""),
                f"{job} leaks memory: it {result}",
                WASTE,
                1.0,
                since=change.start,
                details={"instance": one.labels.get("instance", "")},
                evidence=(
                    evidence.metric(seen, "memory", result, f'process_resident_memory_bytes{{job="{job}"}}'),
                ),
            )
        )
    return found


def _monotone(points: Sequence[tuple[float, float]]) -> bool:
    rises = [later[1] - earlier[1] for earlier, later in itertools.pairwise(points)]
    return bool(rises) and sum(rise > 0 for rise in rises) >= 0.6 * len(rises)


def burning(seen: Observed) -> list[Cause]:
    """Processes that compute more than usual, and more than by how much more they are asked."""
    found = []
    asked = {job: total(series) for (job,), series in grouped(seen.named("answers"), "job").items()}
    for one in seen.named("cpu"):
        job = one.labels.get("job", "")
        change = step(one.points, least=CPU, factor=2.0, fewest=1 if _sparse(one) else LEAST)
        if change and not _asked_for(asked.get(job, ()), change):
            result = f"uses {change.during:.2f} processor seconds a second, {change.before:.2f} before"
            found.append(
                Cause(
                    "processor",
                    job,
                    one.labels.get("instance", ""),
                    f"{job} computes more than usual: it {result}",
                    WASTE,
                    min(1.0, change.during),
                    since=change.start,
                    until=change.end,
                    evidence=(evidence.metric(seen, "cpu", result),),
                )
            )
    return found


def _sparse(one: Series) -> bool:
    """Whether each point is the average of so long a time that it is no moment's chance."""
    return len(one.points) > 1 and one.points[-1][0] - one.points[-2][0] >= SPARSE


def _asked_for(requests: Sequence[tuple[float, float]], change: Step) -> bool:
    """Whether as many more requests as processor time came in this stretch."""
    last = change.end or math.inf
    during = [value for time, value in requests if change.start <= time < last]
    before = [value for time, value in requests if not change.start <= time < last]
    if not during or not before or not sum(before):
        return False
    return mean(during) / mean(before) >= ASKED * change.during / max(change.before, 1e-9)


def _saturated(seen: Observed) -> list[Cause]:
    found = []
    for one in seen.named("busy"):
        change = step(one.points, least=SATURATED - 0.1)
        if not change or change.during < SATURATED:
            continue
        job = one.labels.get("job", "")
        result = f"{change.during:.0%} of its threads are busy, {change.before:.0%} before"
        found.append(
            Cause(
                "saturated",
                job,
                one.labels.get("instance", ""),
                f"{job} has no free thread: {result}",
                HARM,
                min(1.0, change.during),
                since=change.start,
                until=change.end,
                evidence=(evidence.metric(seen, "busy", result),),
            )
        )
    return found


def _dependencies(seen: Observed) -> list[Cause]:
    found = []
    for one in seen.named("dependency"):
        change = step([(time, 1.0 - value) for time, value in one.points], least=0.5)
        if not change:
            continue
        job, name = one.labels.get("job", ""), one.labels.get("dependency", "")
        result = f"the readiness check of {name} fails since {evidence.clock(change.start)}"
        found.append(
            Cause(
                "dependency",
                job,
                name,
                f"{job} cannot use its {name}",
                HARM,
                1.0,
                since=change.start,
                until=change.end,
                details={"dependency": name},
                evidence=(evidence.metric(seen, "dependency", result),),
            )
        )
    return found


def _of(metric: str, job: str) -> str:
    return f'{metric}{{job="{job}"}}'


def refusing(seen: Observed) -> dict[tuple[str, str], Series]:
    """Circuits that were open at some time: (who calls, the dependency that is not called)."""
    return {
        (one.labels.get("job", ""), one.labels.get("dependency", "")): one
        for one in seen.named("circuit")
        if any(value == 1 for _, value in one.points)
    }
