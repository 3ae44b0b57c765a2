"""Scenarios that a seed draws: which fault, for whom, how strong, when, under which load, and beside what.

Whoever works on the diagnosis knows the files of `scenarios/` by heart. A seed's scenario nobody has seen,
and it is the same on every machine. What is drawn can be known from telemetry at the traffic of a stack: a
fault of one customer who asks twice a minute is not among it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from dashcam.lab.scenario import Expected, Scenario
from dashcam.lab.second_instance import Twin

Effects = Mapping[str, Any]
BASELINES = (30.0, 60.0)
"""Seconds without the fault before it, at least and at most."""
LOADS = (0.0, 4.0, 10.0)
"""Requests a second beside the usual traffic."""
TWO, DECOY = 0.2, 0.35
"""How often there are two faults at once, and something harmless beside one."""
DECOY_SETTLE = 30.0
"""Seconds until the answer where a decoy may be noticed before the fault."""
ERRORS = (
    "ledger 7 is out of balance",
    "unexpected end of input at column 12",
    "no conversion for the unit furlong",
    "permission denied: /var/lib/prices",
    "the lease of shard 3 has expired",
)


@dataclass(frozen=True)
class Place:
    """A point of a service, and for whom a fault there may hold: words for them, and flagd's rule."""

    service: str
    point: str
    scopes: Mapping[str, Any]


def _seconds(random: Random, least: float, most: float) -> float:
    return round(random.uniform(least, most), 2)


def _is(attribute: str, value: str) -> Any:
    return {"==": [{"var": attribute}, value]}


MAKERS = {maker: _is("maker", maker) for maker in ("bentz", "auriga")}
PLACES = (
    Place(
        "minus",
        "minus.request",
        {"": True, **{f"y at least {y}": {">=": [{"var": "y"}, y]} for y in (500, 1000)}},
    ),
    Place(
        "car",
        "car.request",
        {"": True, **MAKERS, "/quote": _is("route", "quoteof"), "GET /cars": _is("route", "cars")},
    ),
    Place(
        "web", "web.request", {"": True, "GET /cars": _is("route", "pages.cars"), "bentz": MAKERS["bentz"]}
    ),
)
STATEMENTS = Place("car", "car.read", {"": True, **MAKERS})


@dataclass(frozen=True)
class Fault:
    """What a flag does at a place, and what the diagnosis must call it. `everywhere` takes no scope."""

    title: str
    kinds: tuple[str, ...]
    effects: Callable[[Random], Effects]
    places: tuple[Place, ...] = PLACES
    everywhere: bool = False


MINUS, CAR, _ = ((place,) for place in PLACES)
FAULTS = (
    Fault("waits", ("slow",), lambda random: {"delay": _seconds(random, 0.25, 1.2)}),
    Fault("computes", ("slow", "processor"), lambda random: {"cpu": _seconds(random, 0.15, 0.3)}),
    Fault("fails", ("failing",), lambda random: {"error": random.choice(ERRORS)}),
    Fault("refuses", ("failing",), lambda random: {"status": random.choice((500, 502, 503))}),
    Fault("asks slowly", ("slow",), lambda random: {"sleep": _seconds(random, 0.25, 1.0)}, (STATEMENTS,)),
    Fault("floods its log", ("log lines",), lambda random: {"log": random.randint(60, 200)}, PLACES, True),
    Fault("leaks", ("memory",), lambda random: {"memory": random.randint(1, 3) * 1_000_000}, CAR, True),
    Fault("does not answer", ("unanswered", "saturated"), lambda random: {"delay": 30}, MINUS, True),
    Fault("keeps ending", ("restarting", "down"), lambda random: {"exit": random.randint(1, 4)}, MINUS, True),
)
BESIDE = tuple(fault for fault in FAULTS if fault.kinds in (("slow",), ("failing",)))
"""Faults of which two can be told apart when they are there at once."""
STORM = next(fault for fault in FAULTS if fault.kinds == ("log lines",))


def draw(seed: int) -> Scenario:
    """Return the scenario of `seed`, named after it."""
    # Not for secrets: the point of it is that it can be repeated.
    random = Random(seed)  # noqa: S311
    two = random.random() < TWO
    drawn = _one(random, seed, BESIDE if two else FAULTS)
    if two:
        drawn = _both(drawn, _one(random, seed, BESIDE, avoid=drawn.expect[0].service))
    elif random.random() < DECOY:
        (expected,) = drawn.expect
        drawn = replace(
            drawn, decoy=_decoy(random, expected.service, expected.kinds == STORM.kinds), settle=DECOY_SETTLE
        )
    return replace(
        drawn,
        baseline=float(round(random.uniform(*BASELINES))),
        load=random.choice(LOADS),
        description=drawn.description + (f" Beside it: {drawn.decoy.title}." if drawn.decoy else ""),
    )


def _one(random: Random, seed: int, faults: tuple[Fault, ...], avoid: str = "") -> Scenario:
    """Return a scenario of one fault, of another service than `avoid`."""
    fault = random.choice([one for one in faults if any(place.service != avoid for place in one.places)])
    place = random.choice([place for place in fault.places if place.service != avoid])
    scope = "" if fault.everywhere else random.choice(list(place.scopes))
    effects = fault.effects(random)
    title = f"{place.service} {fault.title}{f', where {scope}' if scope else ''}"
    # A route is told in the place, whoever asks in the scope.
    is_route = scope.startswith(("/", "GET"))
    where = str(effects.get("error", scope if is_route else ""))
    return Scenario(
        name=f"seed-{seed}",
        title=title,
        description=f"{title}: {dict(effects)} at {place.point}.",
        expect=(Expected(fault.kinds, place.service, where, "" if is_route else scope),),
        flags={f"drawn-{place.service}": flag_at(title, place, scope, effects)},
    )


def _both(one: Scenario, other: Scenario) -> Scenario:
    return replace(
        one,
        title=f"{one.title}; {other.title}",
        description=f"{one.description} {other.description}",
        expect=(*one.expect, *other.expect),
        flags={**one.flags, **other.flags},
    )


def _decoy(random: Random, service: str, storm: bool) -> Scenario:
    """Return what is new and does no harm: a release, or lines, of a service that the fault is not in."""
    if storm or random.random() < 0.5:
        twin = Twin("car" if service == "web" else "web", version=f"2.{random.randint(0, 9)}.0")
        title = f"{twin.service} of version {twin.version} joins, and is well"
        return Scenario("decoy", title, "", (), twin=twin)
    place = random.choice([place for place in PLACES if place.service != service])
    title = f"{place.service} {STORM.title} and is well"
    return Scenario(
        "decoy", title, "", (), flags={"decoy": flag_at(title, place, "", {"log": random.randint(30, 60)})}
    )


def flag_at(title: str, place: Place, scope: str, effects: Effects) -> Mapping[str, Any]:
    """Return a flag as flagd's file has it."""
    return {
        "state": "ENABLED",
        "variants": {"off": {}, "on": dict(effects)},
        "defaultVariant": "off",
        "metadata": {"point": place.point, "description": title},
        "targeting": {"if": [place.scopes[scope], "on", "off"]},
    }
