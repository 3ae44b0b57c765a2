"""Who was right: the diagnosis and the trivial rules on the same windows, by kind of fault."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.rca.baselines import ranks
from benchmarks.rca.case import Case
from benchmarks.rca.memory import sources
from dashcam.diagnose import recording
from dashcam.diagnose.findings import HARM, Diagnosis
from dashcam.diagnose.verdict import diagnose, observed
from dashcam.sources import LogLine

OURS = "dashcam diagnose"
MESSAGE = 140
"""Characters of a log line that are kept."""
FAILED = 0.05
"""The share of requests that fail from which on a window without a fault is not healthy either."""


@dataclass(frozen=True)
class Outcome:
    """What came out for one window. `places` says at which rank each named the service; None: not at all."""

    name: str
    kind: str
    service: str
    first: str
    summary: str
    confidence: str
    seconds: float
    places: dict[str, int | None]
    harmed: bool
    healthy: bool

    @property
    def wrong(self) -> bool:
        return bool(self.service) and self.places[OURS] != 1


def outcome(case: Case) -> Outcome:
    """Diagnose one window, and ask the trivial rules."""
    began = time.process_time()
    found = diagnose(sources(case), case.start, case.end)
    took = time.process_time() - began
    named = list(dict.fromkeys(cause.service for cause in found.causes))
    others = ranks(case) if case.service else {}
    first = found.causes[0] if found.causes else None
    return Outcome(
        case.name,
        case.kind,
        case.service,
        first.service if first else "",
        first.summary if first else "nothing",
        found.confidence(first) if first else "",
        took,
        {name: _place(case.service, rank) for name, rank in {OURS: named, **others}.items()},
        _harmed(found),
        _failed(case) < FAILED,
    )


def keep(case: Case, folder: Path) -> None:
    """Write what the diagnosis of a case sees to a file of its service and kind, with its lines cut short."""
    lines = [LogLine({**line.fields, "message": line.message[:MESSAGE]}) for line in case.lines]
    seen = observed(sources(replace(case, lines=lines)), case.start, case.end)
    recording.write(seen, folder / f"{case.kind}{f'-{case.service}' if case.service else ''}.json.gz")


def _harmed(found: Diagnosis) -> bool:
    return any(cause.rank <= HARM for cause in found.causes)


def _place(service: str, rank: Sequence[str]) -> int | None:
    return rank.index(service) + 1 if service in rank else None


def _failed(case: Case) -> float:
    """The share of requests in the window whose trace has a failed span, or an error in the log of it."""
    window = [one for one in case.traces if one.start >= case.start * 1e6]
    told = {line.trace_id for line in case.lines if line.severity in ("ERROR", "FATAL")}
    bad = sum(one.trace_id in told or any(span.failed for span in one.spans) for one in window)
    return bad / max(1, len(window))
