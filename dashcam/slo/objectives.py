"""A page of objectives as data, checked: a mistake is answered with the place, the value and the remedy.

Only `slos` must be there; what is left out of the rest is as in :data:`DEFAULTS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from dashcam.slo.durations import milliseconds
from observability import schema

KINDS = ("availability", "latency")
DEFAULTS: dict[str, Any] = {
    "period": "30d",
    # The SRE workbook's windows.
    "burn_rates": {
        "page": [
            {"factor": 14.4, "long": "1h", "short": "5m"},
            {"factor": 6, "long": "6h", "short": "30m"},
        ],
        "ticket": [
            {"factor": 3, "long": "1d", "short": "2h"},
            {"factor": 1, "long": "3d", "short": "6h"},
        ],
    },
    "keep_firing": {"page": "30m", "ticket": "2h"},
    "low_traffic": {"failures": 10, "all_failed": 2},
}
_COUNTER = re.compile(r"[a-zA-Z_:][\w:]*(?:\{[^{}]*\})?")


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

    The events are requests by the conventions' histogram: `threshold` is in seconds and given for a latency
    objective only; `route` is a regular expression for `http_route`, or empty for every route that exists. Or
    they are anything that is counted: `total`, and of these `bad` or `good`, are selectors of counters.
    """

    name: str
    service: str
    sli: Literal["availability", "latency"]
    objective: float
    about: str
    route: str = ""
    threshold: float | None = None
    total: str = ""
    bad: str = ""
    good: str = ""

    @property
    def budget(self) -> float:
        """The share of events that may be bad, as a ratio: 99.9 gives 0.001."""
        return round(1 - self.objective / 100, 9)


@dataclass(frozen=True)
class Objectives:
    """All of slos.yaml. `depends_on` maps each service to what it needs; `runbooks` may be empty."""

    runbooks: str
    period: str
    burn_rates: dict[str, tuple[BurnRate, ...]]
    keep_firing: dict[str, str]
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


EXAMPLE = "docs/dashboards.md shows a whole page"


def load(path: Path) -> Objectives:
    """Read and check the objectives of a page. Raises ObjectiveError."""
    return from_page(yaml.safe_load(path.read_text(encoding="utf-8")), str(path))


def from_page(page: Any, path: str) -> Objectives:
    """The same of a page that has been read; `path` is named in messages. Raises ObjectiveError."""
    if not isinstance(page, dict):
        raise ObjectiveError(f"{path}: no page of objectives: it has to begin with keys such as slos:")
    page = DEFAULTS | page
    try:
        objectives = Objectives(
            runbooks=page.get("runbooks") or "",
            period=page["period"],
            burn_rates={
                name: tuple(BurnRate(**rate) for rate in page["burn_rates"][name])
                for name in ("page", "ticket")
            },
            keep_firing={name: page["keep_firing"][name] for name in ("page", "ticket")},
            min_failures=page["low_traffic"]["failures"],
            min_all_failed=page["low_traffic"]["all_failed"],
            depends_on=_depends_on(page),
            slos=tuple(Slo(**slo) for slo in page["slos"]),
        )
        _check(objectives)
    except KeyError as error:
        raise ObjectiveError(f"{path}: there is no key {error}; {EXAMPLE}") from None
    except TypeError as error:
        raise ObjectiveError(f"{path}: {error}; {EXAMPLE}") from None
    except ObjectiveError as error:
        raise ObjectiveError(f"{path}: {error}") from None
    return objectives


def _depends_on(page: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """What `services` says; without it, the services of the objectives, on nothing."""
    services = page.get("services") or {slo["service"]: {"depends_on": ()} for slo in page["slos"]}
    return {name: tuple(service["depends_on"]) for name, service in services.items()}


def _check(objectives: Objectives) -> None:
    for text in [objectives.period, *objectives.keep_firing.values(), *_windows(objectives)]:
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
    if slo.total or slo.bad or slo.good:
        _check_counters(slo, complain)
        return
    if (slo.threshold is not None) != (slo.sli == "latency"):
        complain("a latency objective needs a threshold in seconds, and no other has one")
    if slo.threshold is not None and slo.threshold not in schema.LATENCY_BUCKETS:
        near = min(schema.LATENCY_BUCKETS, key=lambda bucket: abs(bucket - (slo.threshold or 0)))
        complain(f"threshold {slo.threshold} is no boundary of the histogram; the nearest is {near}")


def _check_counters(slo: Slo, complain: Any) -> None:
    if not slo.total or bool(slo.bad) == bool(slo.good):
        complain("total and one of bad and good are needed")
    if slo.route or slo.threshold is not None:
        complain("route and threshold are of requests; total, bad and good say everything themselves")
    for selector in filter(None, (slo.total, slo.bad, slo.good)):
        if not _COUNTER.fullmatch(selector):
            complain(f'{selector!r} is no selector of a counter, such as jobs_total{{queue="mail"}}')
