"""Ordinary days, and one that is not: what alerts make of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dashboards.tests.day.around import Around
from dashboards.tests.day.pods import STARTING, Job, Pod
from dashboards.tests.day.service import Instance, Series
from dashboards.tests.day.traffic import MINUTES, Rate, bursts, by_day, steady

NOON = 12 * 60
SEED = 1
QUIET_NIGHT = 31 / 60
"""Requests a minute of a service that hardly anyone uses: one every two minutes, by chance."""


@dataclass(frozen=True)
class Day:
    """A day, and the alerts that may begin to fire on it: how often at most. The runbook has the reason."""

    about: str
    instances: tuple[Instance, ...]
    around: Around
    may_fire: Mapping[str, int] = field(default_factory=dict)

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


def _of(about: str, *instances: Instance, may_fire: Mapping[str, int] | None = None) -> Day:
    """A day on which no pod of car comes or goes. One was killed for its memory, days ago."""
    pods = tuple(_pod(each, *((0, "OOMKilled") if each.name == "a" else ())) for each in instances)
    wanted = len(instances)
    around = Around(_all(*instances), pods, (wanted,) * MINUTES, wanted)
    return Day(about, instances, around, may_fire or {})


def _all(*instances: Instance) -> Rate:
    return lambda minute: sum(each.rate(minute) for each in instances if each.first <= minute < each.last)


def _together() -> tuple[Instance, ...]:
    """Two instances that share a thousand requests a minute at the busiest."""
    return tuple(Instance(name, by_day(500)) for name in "ab")


def _crashed() -> Day:
    """One of two is away for three minutes, until its container is started again."""
    back = NOON + 3
    well, ill = Instance("a", by_day(500)), Instance("b", by_day(500), away=range(NOON, back))
    available = (2,) * NOON + (1,) * 3 + (2,) * (MINUTES - back)
    around = Around(_all(well, ill), (_pod(well), _pod(ill, back)), available)
    return Day("one of two instances is away for three minutes", (well, ill), around)


def _down_and_up() -> Day:
    """`make down; make up`, or a cluster that is started anew: all end together.

    Prometheus drops what it wanted to tell, and begins anew; Jobs that prepare the parts are made again.
    """
    away = range(NOON, NOON + 2)
    instances = tuple(Instance(name, by_day(500), away=away, unseen=True) for name in "ab")
    around = Around(
        _all(*instances),
        tuple(_pod(each, away.stop, "Completed") for each in instances),
        (2,) * NOON + (0, 0, 1) + (2,) * (MINUTES - NOON - 3),
        away=away,
        dropped=(*[0] * (NOON - 1), 3, None, None, 2, *[2] * (MINUTES - NOON - 3)),
        jobs=(Job("elasticsearch-bootstrap", away.stop, 4), Job("kibana-bootstrap", away.stop, 6)),
    )
    return Day("everything is restarted at noon", instances, around)


def _rolled() -> Day:
    """A roll-out at noon: a new pod comes, an old one goes, twice; the Jobs are made again with it."""
    old = tuple(
        Instance(name, by_day(500), last=NOON + 2 * n + 2, version="1") for n, name in enumerate("ab")
    )
    new = tuple(
        Instance(name, by_day(500), first=NOON + 2 * n + 1, version="2") for n, name in enumerate("cd")
    )
    around = Around(
        lambda minute: 2 * by_day(500)(minute),
        tuple(_pod(each) for each in (*old, *new)),
        (2,) * NOON + (1, 2, 1, 2) + (2,) * (MINUTES - NOON - 4),
        jobs=(Job("elasticsearch-bootstrap", NOON, 2),),
    )
    return Day("a roll-out at noon", (*old, *new), around)


DAYS = {
    "low": _of(
        "31 requests an hour, by chance; one in 3,000 fails",
        Instance("a", steady(QUIET_NIGHT)),
    ),
    "normal": _of("1,000 requests a minute at the busiest, a fifth at night", *_together()),
    "bursts": _of(
        "ten times as much for five minutes every hour",
        *(Instance(name, bursts(by_day(300), 10, 60, 5)) for name in "ab"),
    ),
    "crash": _crashed(),
    "restart": _down_and_up(),
    "rollout": _rolled(),
    "at-the-limit": _of(
        "0.65 % of all requests fail all day, which is 6.5 times too many",
        *(Instance(name, steady(300), failing=0.0065) for name in "ab"),
        may_fire={"AvailabilityBurnFast": 3, "LogErrorsRising": 1},
    ),
}
