"""Ordinary days, and one that is not: what alerts make of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dashboards.tests.day.service import Instance, Series
from dashboards.tests.day.traffic import MINUTES, bursts, by_day, steady, written

NOON = 12 * 60
SEED = 1
QUIET_NIGHT = 31 / 60
"""Requests a minute of a service that hardly anyone uses: one every two minutes, by chance."""


@dataclass(frozen=True)
class Day:
    """A day, and the alerts that may begin to fire on it: how often at most. The runbook has the reason."""

    about: str
    instances: tuple[Instance, ...]
    more: tuple[Series, ...] = ()
    may_fire: Mapping[str, int] = field(default_factory=dict)

    def series(self) -> Iterator[Series]:
        """The input series of promtool."""
        for instance in self.instances:
            yield from instance.series(SEED)
        yield from self.more


def _watchers(dropped: list[int | None] | None = None) -> tuple[Series, ...]:
    """Prometheus and Alertmanager themselves."""
    flat = written([0] * MINUTES)
    return (
        {
            "series": 'prometheus_notifications_dropped_total{job="prometheus",instance="p"}',
            "values": written(dropped or [0] * MINUTES),
        },
        {
            "series": 'alertmanager_notifications_failed_total{job="alertmanager",instance="m"}',
            "values": flat,
        },
        {"series": 'up{job="prometheus",instance="p"}', "values": written([1] * MINUTES)},
        {"series": 'up{job="alertmanager",instance="m"}', "values": written([1] * MINUTES)},
    )


def _together() -> tuple[Instance, ...]:
    """Two instances that share a thousand requests a minute at the busiest."""
    return tuple(Instance(name, by_day(500)) for name in "ab")


def _down_and_up() -> Day:
    """`make down; make up`: all end together, Prometheus drops what it wanted to tell, and begins anew."""
    away = range(NOON, NOON + 2)
    instances = tuple(Instance(name, by_day(500), away=away, unseen=True) for name in "ab")
    dropped: list[int | None] = [0] * (NOON - 1) + [3, None, None, 2] + [2] * (MINUTES - NOON - 3)
    return Day("everything is restarted at noon", instances, _watchers(dropped))


def _rolled() -> Day:
    """A roll-out at noon: a new pod comes, an old one goes, twice; then back again two hours later."""
    old = tuple(
        Instance(name, by_day(500), last=NOON + 2 * n + 2, version="1") for n, name in enumerate("ab")
    )
    new = tuple(
        Instance(name, by_day(500), first=NOON + 2 * n + 1, version="2") for n, name in enumerate("cd")
    )
    available = [2.0] * NOON + [1, 2, 1, 2] + [2] * (MINUTES - NOON - 4)
    labels = 'namespace="dashcam",deployment="car"'
    replicas = (
        {"series": f"kube_deployment_spec_replicas{{{labels}}}", "values": written([2] * MINUTES)},
        {"series": f"kube_deployment_status_replicas_available{{{labels}}}", "values": written(available)},
    )
    return Day("a roll-out at noon", (*old, *new), (*_watchers(), *replicas))


DAYS = {
    "low": Day(
        "31 requests an hour, by chance; one in 3,000 fails",
        (Instance("a", steady(QUIET_NIGHT)),),
        _watchers(),
    ),
    "normal": Day("1,000 requests a minute at the busiest, a fifth at night", _together(), _watchers()),
    "bursts": Day(
        "ten times as much for five minutes every hour",
        tuple(Instance(name, bursts(by_day(300), 10, 60, 5)) for name in "ab"),
        _watchers(),
    ),
    "crash": Day(
        "one of two instances is away for three minutes",
        (Instance("a", by_day(500)), Instance("b", by_day(500), away=range(NOON, NOON + 3))),
        _watchers(),
    ),
    "restart": _down_and_up(),
    "rollout": _rolled(),
    "at-the-limit": Day(
        "0.65 % of all requests fail all day, which is 6.5 times too many",
        tuple(Instance(name, steady(300), failing=0.0065) for name in "ab"),
        _watchers(),
        {"AvailabilityBurnFast": 3, "LogErrorsRising": 1},
    ),
}
