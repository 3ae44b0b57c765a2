"""Scenarios: the files of `scenarios/`, what each expects, and whether a diagnosis named it.

A file describes what happens (`faults` of `scenarios/flags.json`, programs to `stop`, a database to
`lock`, a `twin` of a service, a number of `slow_clients`, a stream of the broker that is `full`), the cause
that the diagnosis must put first, and which signals must speak for it, each with what it shows. Nothing here
is known to the diagnosis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import yaml

from dashcam.diagnose.findings import Cause, Diagnosis, Signal
from dashcam.lab.second_instance import Twin

FOLDER = Path(__file__).resolve().parents[2] / "scenarios"

TELEMETRY = frozenset(
    {"spans lost", "no spans", "lines lost", "no lines", "source away", "part away", "no metrics", "clock"}
)
"""Kinds that the diagnosis says first, in its part on the telemetry."""


class BadScenario(ValueError):
    """A scenario's file cannot be used. The message names it, the field, and what is wrong."""


@dataclass(frozen=True)
class Expected:
    """A cause: its kind (one of several), its service, and texts that its place and scope must have.

    `signals` says what each signal shows that must speak for it.
    """

    kinds: tuple[str, ...]
    service: str
    place: str = ""
    scope: str = ""
    signals: Mapping[str, str] = field(default_factory=dict)

    def met_by(self, cause: Cause) -> bool:
        """Whether `cause` is the expected one."""
        where = " ".join([cause.subject, *cause.details.values(), *(e.result for e in cause.evidence)])
        return (
            cause.kind in self.kinds
            and cause.service == self.service
            and self.place.lower() in where.lower()
            and self.scope.lower() in " ".join(cause.scope).lower()
        )

    def __str__(self) -> str:
        parts = [f"{' or '.join(self.kinds)} in {self.service}", self.place, self.scope]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Scenario:
    """One scenario.

    `lock` holds a write lock on car's SQLite file from outside, `slow_clients` is how many hold on to car,
    `settle` is seconds between the first signal and the diagnosis. `flags` are its own, in flagd's format;
    `orders` says that the traffic must order cars, `baseline` is seconds before the fault (None: what the run
    asks for), `load` requests a second beside the usual traffic, and `decoy` something harmless that happens
    just before.
    """

    name: str
    title: str
    description: str
    expect: tuple[Expected, ...]
    faults: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    lock: bool = False
    full: str = ""
    twin: Twin | None = None
    slow_clients: int = 0
    orders: bool = False
    settle: float = 20.0
    flags: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    baseline: float | None = None
    load: float = 0.0
    decoy: Scenario | None = None

    def judged(self, found: Diagnosis) -> tuple[bool, str]:
        """Whether the first causes are the expected ones in any order, and what was named instead."""
        first = self._first(found)
        met = all(any(one.met_by(cause) for cause in first) for one in self.expect)
        named = "; ".join(cause.summary for cause in first) or "nothing"
        return met, named

    def silent(self, found: Diagnosis) -> tuple[str, ...]:
        """The expected signals that do not speak for the expected causes that were named."""
        first = self._first(found)
        return tuple(
            dict.fromkeys(
                signal
                for one in self.expect
                for cause in first
                if one.met_by(cause)
                for signal in one.signals
                if signal not in cause.signals
            )
        )

    def _first(self, found: Diagnosis) -> Sequence[Cause]:
        """As many of the first causes as are expected."""
        telemetry = any(kind in TELEMETRY for one in self.expect for kind in one.kinds)
        ranked: Sequence[Cause] = found.telemetry if telemetry else found.causes
        return ranked[: len(self.expect)]


def load(folder: Path = FOLDER) -> dict[str, Scenario]:
    """Every scenario by name, in the order of the files. Raises BadScenario."""
    # The same folder is what a cluster makes its flags of.
    found = [_read(path) for path in sorted(folder.glob("*.yaml")) if path.stem != "kustomization"]
    return {one.name: one for one in found}


def _read(path: Path) -> Scenario:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        how = data.pop("how")
        expected = data.pop("expect")
        return Scenario(
            name=path.stem,
            expect=tuple(_expected(one) for one in (expected if isinstance(expected, list) else [expected])),
            faults=tuple(how.get("faults", ())),
            stop=tuple(how.get("stop", ())),
            lock=bool(how.get("lock", False)),
            full=str(how.get("full", "")),
            twin=_twin(how["twin"]) if "twin" in how else None,
            slow_clients=int(how.get("slow_clients", 0)),
            **data,
        )
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadScenario(
            f"{path.name} cannot be used ({error}): it needs title, description, how and expect"
        ) from error


def _twin(data: dict[str, Any]) -> Twin:
    return Twin(**{**data, "faults": tuple(data.get("faults", ()))})


def _expected(data: dict[str, Any]) -> Expected:
    kinds, signals = data["kind"], data["signals"]
    if not signals or set(signals) - set(get_args(Signal)):
        raise ValueError(
            f"signals are {signals!r}: say what {', '.join(get_args(Signal))} show, or some of them"
        )
    return Expected(
        tuple([kinds] if isinstance(kinds, str) else kinds),
        data["service"],
        data.get("place", ""),
        data.get("scope", ""),
        signals,
    )
