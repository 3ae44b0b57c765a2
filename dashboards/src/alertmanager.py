"""Who is told of which alert: routes, grouping, and what is silenced by what.

One broken dependency notifies once. What fails at one service shows in those that need it as well, so the
inhibition rules follow `depends_on`: while a part is known to be broken, what its dependents suffer from it
is not reported. No alert is ever silenced by a less urgent one; a test holds that.

Timing is part of it: a symptom waits out `group_wait` before anyone hears of it, and that is as long as the
cause needs to be noticed: scrape 15 s, evaluation 15 s, ServiceDown's `for` 30 s, and one evaluation more.
And burn rates remember: half an hour after the cause is mended they still see what it did. `RecentlyBroken`
stands for the cause until then.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from dashcam.slo.durations import scaled
from dashcam.slo.objectives import Objectives
from services.orders.messages import DEALER

BURN = "AvailabilityBurn(Fast|Slow)|LatencyBurn(Fast|Slow)"
BROKEN = "ServiceDown|DependencyDown|AvailabilityBurnFast|RecentlyBroken"
"""Alerts that say that a service does not do its work, whatever the reason, or did not until just now."""

CUT_OFF = "CircuitOpen|DependencyDown|BrokerAway|BrokerFull"

UNDECIDED = "OrdersUndecided|CompensationFailing"
"""What follows where nobody does or answers what an order needs, for as long as it is so."""

GONE = "ServiceDown|DependencyDown"

STUCK = f"{UNDECIDED}|OutboxWaiting|ConsumerStopped|ConsumerSlow|RedeliveryStorm"
"""What follows from a broker that takes or gives no messages."""


def configuration(
    objectives: Objectives, receivers: dict[str, Any], scale: Fraction = Fraction(1)
) -> dict[str, Any]:
    """Alertmanager's configuration, valid for 0.25 and later.

    `receivers` maps page, ticket and watchdog to their integrations. `scale` shortens the waits, for a live
    test.
    """
    return {
        "route": _route(scale),
        "inhibit_rules": inhibit_rules(objectives),
        "receivers": [
            *({"name": name, **(receivers.get(name) or {})} for name in ("page", "ticket", "watchdog")),
            {"name": "nobody"},
        ],
    }


def _route(scale: Fraction) -> dict[str, Any]:
    return {
        "receiver": "ticket",
        "group_by": ["service"],
        "group_wait": scaled("75s", scale),
        "group_interval": scaled("5m", scale),
        "repeat_interval": scaled("12h", scale),
        "routes": [
            {
                "matchers": ['alertname="Watchdog"'],
                "receiver": "watchdog",
                "group_wait": "0s",
                "group_interval": scaled("1m", scale),
                "repeat_interval": scaled("1m", scale),
            },
            # RecentlyBroken: it is there to silence others.
            {"matchers": ['severity="none"'], "receiver": "nobody"},
            {
                "matchers": ['severity="page"'],
                "receiver": "page",
                "repeat_interval": scaled("4h", scale),
            },
        ],
    }


def inhibit_rules(objectives: Objectives) -> list[dict[str, Any]]:
    """What silences what, the same service first, then along the dependencies."""
    rules = [
        _rule(['alertname="ServiceDown"'], ['alertname!~"ServiceDown|Watchdog"'], "service"),
        _rule(
            ['alertname=~"AvailabilityBurnFast|LatencyBurnFast"'],
            ['alertname=~"AvailabilityBurnSlow|LatencyBurnSlow"'],
            "slo",
        ),
        _rule(
            ['severity="page"'],
            ['alertname=~"LogErrorsRising|TrafficStopped|ServerSaturated|TargetDown|DependencyPartlyDown"'],
            "service",
        ),
        _rule(
            ['alertname=~"ContainerCrashLooping|PodStuck"'],
            ['alertname=~"ServiceRestarting|ReplicasMissing"'],
            "service",
        ),
    ]
    rules += [
        _rule(['alertname=~"BrokerAway|BrokerFull"'], [f'alertname=~"{STUCK}"']),
        # No service depends on the dealer by requests: who waits for its answers is known by the queue alone.
        _rule([f'service="{DEALER}"', f'alertname=~"{GONE}"'], [f'alertname=~"{UNDECIDED}"']),
    ]
    for name in dict.fromkeys([*objectives.depends_on, *_needed(objectives)]):
        if dependents := objectives.dependents(name):
            rules += _along(name, dependents, objectives)
    return rules


def _needed(objectives: Objectives) -> list[str]:
    return [needed for needs in objectives.depends_on.values() for needed in needs]


def _along(name: str, dependents: tuple[str, ...], objectives: Objectives) -> list[dict[str, Any]]:
    """`name` is broken: its dependents' circuits, readiness and objectives say nothing new."""
    symptoms = [f'service=~"{"|".join(dependents)}"', f'alertname=~"{BURN}"']
    stuck = [symptoms[0], f'alertname=~"{UNDECIDED}"']
    rules = []
    if name in objectives.depends_on:
        broken = [f'service="{name}"', f'alertname=~"{BROKEN}"']
        rules += [
            _rule(broken, [f'dependency="{name}"', f'alertname=~"{CUT_OFF}"']),
            _rule(broken, symptoms),
            _rule([f'service="{name}"', f'alertname=~"{GONE}"'], stuck),
            _rule(
                [f'service="{name}"', 'alertname="LatencyBurnFast"'],
                [symptoms[0], 'alertname=~"LatencyBurn(Fast|Slow)"'],
            ),
        ]
    cut_off = f'dependency="{name}"'
    return [
        *rules,
        _rule([cut_off, f'alertname=~"{CUT_OFF}|RecentlyBroken"'], symptoms),
        _rule([cut_off, f'alertname=~"{CUT_OFF}"'], stuck),
    ]


def _rule(source: list[str], target: list[str], *equal: str) -> dict[str, Any]:
    same = {"equal": list(equal)} if equal else {}
    return {"source_matchers": source, "target_matchers": target, **same}
