"""`slos.yaml` as data, checked: a mistake is answered with the place, the value and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from dashboards.src.durations import milliseconds
from observability import schema

HERE = Path(__file__).resolve().parent.parent
KINDS = ("availability", "latency")


class ObjectiveError(ValueError):
    """slos.yaml says something that cannot be meant. The message names where, what and the remedy."""


@dataclass(frozen=True)
class BurnRate:
    """Alert when the budget burns `factor` times too fast over `long` and still does over `short`."""

    factor: float
    long: str
    short: str


@dataclass(frozen=True)
class Slo:
    """One objective: `objective` percent of the events of `service` must be good.

    `threshold` is in seconds and given for a latency objective only; `route` is a regular expression for
    `http_route`, or empty for every route that exists.
    """

    name: str
    service: str
    sli: Literal["availability", "latency"]
    objective: float
    about: str
    route: str = ""
    threshold: float | None = None

    @property
    def budget(self) -> float:
        """The share of events that may be bad, as a ratio: 99.9 gives 0.001."""
        return round(1 - self.objective / 100, 9)


@dataclass(frozen=True)
class Objectives:
    """All of slos.yaml. `depends_on` maps each service to what it needs."""

    runbooks: str
    period: str
    burn_rates: dict[str, tuple[BurnRate, ...]]
    min_failures: int
    min_all_failed: int
    depends_on: dict[str, tuple[str, ...]]
    slos: tuple[Slo, ...]

    def dependents(self, name: str) -> tuple[str, ...]:
        """The services that need `name`, directly or through others, in the order of the page."""
        direct = [service for service, needs in self.depends_on.items() if name in needs]
        found = set(direct)
        for service in direct:
            found.update(self.dependents(service))
        return tuple(service for service in self.depends_on if service in found)


def load(path: Path = HERE / "slos.yaml") -> Objectives:
    """Read and check the objectives. Raises ObjectiveError."""
    page = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        objectives = Objectives(
            runbooks=page["runbooks"],
            period=page["period"],
            burn_rates={
                name: tuple(BurnRate(**rate) for rate in page["burn_rates"][name])
                for name in ("page", "ticket")
            },
            min_failures=page["low_traffic"]["failures"],
            min_all_failed=page["low_traffic"]["all_failed"],
            depends_on={name: tuple(service["depends_on"]) for name, service in page["services"].items()},
            slos=tuple(Slo(**slo) for slo in page["slos"]),
        )
        _check(objectives)
    except (KeyError, TypeError) as error:
        raise ObjectiveError(f"{path}: {error}; see the comments there for what each entry needs") from None
    except ObjectiveError as error:
        raise ObjectiveError(f"{path}: {error}") from None
    return objectives


def _check(objectives: Objectives) -> None:
    for text in [objectives.period, *_windows(objectives)]:
        try:
            milliseconds(text)
        except ValueError as error:
            raise ObjectiveError(str(error)) from None
    for kind, rates in objectives.burn_rates.items():
        for rate in rates:
            if milliseconds(rate.short) >= milliseconds(rate.long):
                raise ObjectiveError(f"burn_rates.{kind}: short {rate.short} is not below long {rate.long}")
    _check_cycles(objectives)
    names = [slo.name for slo in objectives.slos]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ObjectiveError(f"slos: {', '.join(twice)} occurs twice; give each its own name")
    for slo in objectives.slos:
        _check_slo(slo, objectives)


def _windows(objectives: Objectives) -> list[str]:
    rates = [rate for group in objectives.burn_rates.values() for rate in group]
    return [window for rate in rates for window in (rate.long, rate.short)]


def _check_cycles(objectives: Objectives) -> None:
    def walk(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise ObjectiveError(
                f"services: {' -> '.join([*path, name])} is a circle; a dependency has one direction"
            )
        for needed in objectives.depends_on.get(name, ()):
            walk(needed, (*path, name))

    for service in objectives.depends_on:
        walk(service, ())


def _check_slo(slo: Slo, objectives: Objectives) -> None:
    def complain(what: str) -> Any:
        raise ObjectiveError(f"slos, {slo.name}: {what}")

    if slo.service not in objectives.depends_on:
        complain(f"service {slo.service!r} is not listed under services")
    if slo.sli not in KINDS:
        complain(f"sli {slo.sli!r} is not one of {', '.join(KINDS)}")
    if not 0 < slo.objective < 100:
        complain(f"objective {slo.objective} is not a percentage above 0 and below 100")
    highest = max(rate.factor for rates in objectives.burn_rates.values() for rate in rates)
    if highest * slo.budget >= 1:
        complain(
            f"objective {slo.objective} can never burn {highest} times too fast (that is more than every "
            "request); raise the objective or lower the factor"
        )
    if (slo.threshold is not None) != (slo.sli == "latency"):
        complain("a latency objective needs a threshold in seconds, and no other has one")
    if slo.threshold is not None and slo.threshold not in schema.LATENCY_BUCKETS:
        near = min(schema.LATENCY_BUCKETS, key=lambda bucket: abs(bucket - (slo.threshold or 0)))
        complain(f"threshold {slo.threshold} is no boundary of the histogram; the nearest is {near}")
