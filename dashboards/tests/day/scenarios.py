"""Ordinary days, and one that is not: what alerts make of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dashboards.tests.day.around import Around
from dashboards.tests.day.count import FILES
from dashboards.tests.day.pods import STARTING, Job, Pod
from dashboards.tests.day.service import Instance, Series
from dashboards.tests.day.traffic import MINUTES, Rate, bursts, by_day, steady

MORNING, NOON, EVENING = 8 * 60, 12 * 60, 18 * 60
SEED = 1
QUIET_NIGHT = 31 / 60
"""Requests a minute of a service that hardly anyone uses: one every two minutes, by chance."""


@dataclass(frozen=True)
class Day:
    """A day, and the alerts that may begin to fire on it: how often at most. The runbook has the reason.

    `rules` are the files of those that see anything which other days have not.
    """

    about: str
    instances: tuple[Instance, ...]
    around: Around
    may_fire: Mapping[str, int] = field(default_factory=dict)
    rules: tuple[str, ...] = FILES

    def series(self) -> Iterator[Series]:
        """The input series of promtool."""
        for instance in self.instances:
            yield from instance.series(SEED)
        yield from self.around.series()


def _pod(instance: Instance, again: int | None = None, why: str = "Error") -> Pod:
    """The pod of the instance, which takes ten milliseconds of its CPU for a request, and some memory."""
    return Pod(
        f"car-7d9f8c6b5-{instance.name * 5}",
        cpu=lambda minute: instance.rate(minute) * 0.01 / 60,
        memory=lambda minute: 0.4 + instance.rate(minute) / 7500,
        first=max(0, instance.first - STARTING),
        last=instance.last,
        again=again,
        why=why,
    )


def _of(about: str, *instances: Instance, **more: Any) -> Day:
    """A day on which no pod of car comes or goes. One was killed for its memory, days ago."""
    pods = tuple(_pod(each, *((0, "OOMKilled") if each.name == "a" else ())) for each in instances)
    wanted = len(instances)
    around = Around(_all(*instances), pods, (wanted,) * MINUTES, wanted)
    return Day(about, instances, around, **more)


def _all(*instances: Instance) -> Rate:
    return lambda minute: sum(each.rate(minute) for each in instances if each.first <= minute < each.last)


def _eventful() -> Day:
    """A crash in the morning, a roll-out at noon, and all ended and started again in the evening.

    One of two instances is away for three minutes, until its container is started again. New pods come and
    old ones go, one by one. Then `make down; make up`, or a cluster that is started anew: Prometheus drops
    what it wanted to tell, and begins anew. Jobs that prepare the parts are made again with each deployment.
    """
    crash, away = range(MORNING, MORNING + 3), range(EVENING, EVENING + 2)
    busy = by_day(500)
    old = (
        Instance("a", busy, last=NOON + 2),
        Instance("b", busy, last=NOON + 4, away=crash),
    )
    new = tuple(
        Instance(name, busy, first=NOON + 2 * n + 1, away=away, unseen=True, version="2")
        for n, name in enumerate("cd")
    )
    pods = (
        _pod(old[0]),
        _pod(old[1], crash.stop),
        *(_pod(each, away.stop, "Completed") for each in new),
    )
    available = [2] * MINUTES
    available[crash.start : crash.stop] = [1] * 3
    available[NOON : NOON + 4] = [1, 2, 1, 2]
    available[away.start : away.stop + 1] = [0, 0, 1]
    dropped = (*[0] * (EVENING - 1), 3, None, None, *[2] * (MINUTES - EVENING - 2))
    jobs = (Job("elasticsearch-bootstrap", NOON, 2), Job("kibana-bootstrap", away.stop, 6))
    around = Around(lambda minute: 2 * busy(minute), pods, available, away=away, dropped=dropped, jobs=jobs)
    return Day("a crash, a roll-out, and everything restarted", (*old, *new), around)


DAYS = {
    "low": _of(
        "31 requests an hour, by chance; one in 3,000 fails",
        Instance("a", steady(QUIET_NIGHT)),
    ),
    "bursts": _of(
        "ten times as much for five minutes every hour",
        *(Instance(name, bursts(by_day(300), 10, 60, 5)) for name in "ab"),
    ),
    "eventful": _eventful(),
    "at-the-limit": _of(
        "0.65 % of all requests fail all day, which is 6.5 times too many",
        *(Instance(name, steady(300), failing=0.0065) for name in "ab"),
        may_fire={"AvailabilityBurnFast": 3, "LogErrorsRising": 1},
        rules=("slo", "services"),
    ),
}
