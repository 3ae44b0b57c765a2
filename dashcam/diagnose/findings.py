"""What a diagnosis says, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dashcam.diagnose.significance import SURE

Signal = Literal["metrics", "traces", "logs"]

HARM, WASTE = 1, 2
"""Ranks of causes: users notice it; it only costs, for now. 0 is a process that does not run or answer."""
STOPPED = 0
SHED = "refused"
"""The detail that says of failures that they were refused at once: others keep the service from them."""
AFTER = "said"
"""The detail that says of a missed line that work said it which goes on once a request is answered."""


@dataclass(frozen=True)
class Evidence:
    """One question to one source and what came back. `command` asks it again on a terminal."""

    signal: Signal
    query: str
    result: str
    command: str
    link: str = ""


@dataclass(frozen=True)
class Cause:
    """One thing that is wrong at one place.

    `kind` is the sort of fault, `service` and `subject` are the place (an operation, a statement, an
    instance), `since` and `until` are Unix seconds (None: not known, still going on), `impact` is its share
    of what is wrong (of the time lost, of the failures; 1 where that is not known), `scope` says what those
    that suffer have in common, `details` are further names and values such as the exception.
    """

    kind: str
    service: str
    subject: str
    summary: str
    rank: int
    impact: float
    since: float | None = None
    until: float | None = None
    scope: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    chance: float = 0.0
    """How likely so much or more is where nothing is wrong, over all places that were looked at."""
    traces: frozenset[str] = frozenset()
    """The traces that suffered from it, as far as it was found in traces."""

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals that speak for it."""
        return tuple(dict.fromkeys(one.signal for one in self.evidence))


@dataclass(frozen=True)
class Step:
    """A stretch of a series that differs from the rest of it. Times are Unix seconds."""

    start: float
    end: float | None
    before: float
    during: float


@dataclass(frozen=True)
class Symptom:
    """A figure of a service that left its usual range; not a cause by itself."""

    service: str
    subject: str
    what: str
    step: Step
    evidence: Evidence
    lost: float = 0.0
    """Requests that failed beyond the usual, or seconds that were waited beyond it."""


@dataclass(frozen=True)
class Hypothesis:
    """One explanation, with what was measured that speaks for and against it."""

    text: str
    supports: tuple[str, ...] = ()
    contradicts: tuple[str, ...] = ()

    @property
    def standing(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.contradicts


@dataclass(frozen=True)
class Rivals:
    """A question that several hypotheses answer. `test` is what would tell them apart."""

    about: str
    hypotheses: tuple[Hypothesis, ...]
    test: str

    @property
    def open(self) -> bool:
        """Whether the telemetry does not decide: not exactly one has something for it and nothing against."""
        return sum(one.standing and bool(one.supports) for one in self.hypotheses) != 1


@dataclass(frozen=True)
class Diagnosis:
    """The answer. `causes` are ranked, the first is the most likely root; `effects` follow from them.

    `telemetry` says what was missing or cut, which is to be read first; `ruled_out` what was looked at and
    found well. `healthy` is never true while telemetry that should be there is missing.
    """

    start: float
    end: float
    services: tuple[str, ...]
    telemetry: tuple[Cause, ...]
    symptoms: tuple[Symptom, ...]
    causes: tuple[Cause, ...]
    effects: tuple[tuple[Cause, str], ...]
    ruled_out: tuple[str, ...]
    alerts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What makes the answer less sure, without anything being wrong."""
    rivals: tuple[Rivals, ...] = ()
    """What else may explain the causes, side by side."""

    @property
    def healthy(self) -> bool:
        """Nothing is wrong, no alert fires, and the telemetry is whole enough to say so."""
        return not (self.telemetry or self.symptoms or self.causes or self.alerts)

    def confidence(self, cause: Cause) -> str:
        """high, medium or low: by how many signals agree, whether the telemetry is whole, and chance."""
        agreeing = len(cause.signals)
        if cause.chance > SURE:
            agreeing = min(agreeing, 2) - 1
        if self.notes or (self.telemetry and cause not in self.telemetry):
            agreeing -= 1
        return "high" if agreeing >= 2 else "medium" if agreeing == 1 else "low"


Attributes = Mapping[str, Any]
