"""What the other signals say of the place of a cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dashcam.diagnose import evidence, log_patterns
from dashcam.diagnose.findings import Cause, Evidence, Symptom
from dashcam.diagnose.observe import Observed


def noticed(cause: Cause, symptoms: Sequence[Symptom], below: Mapping[str, set[str]]) -> list[Evidence]:
    """What users notice in the figures of its service or, as who waits is slow too, of its callers."""
    own = [one.evidence for one in symptoms if one.service == cause.service]
    callers = {caller for caller, called in below.items() if cause.service in called}
    return own or [
        replace(one.evidence, result=f"{one.service} {one.subject}: {one.evidence.result}")
        for one in symptoms
        if cause.kind == "slow" and one.what == "is slow" and one.service in callers
    ]


def supported(seen: Observed, cause: Cause, effects: Sequence[Cause], felt: Sequence[Evidence]) -> Cause:
    """`cause` with what the other signals say of the same place since then."""
    shown = list(cause.evidence)
    signals = set(cause.signals)
    if "metrics" not in signals:
        shown += felt[:1]
        shown += [e for one in effects if one.service == cause.service for e in one.evidence][:1]
    if "traces" not in signals:
        shown += [e for one in effects if _touches(one, cause) for e in one.evidence if e.signal == "traces"][
            :1
        ]
    if "logs" not in signals:
        # A broker's own log is seldom at hand: who was not let send says why.
        who = cause.details.get("callers", cause.service).split(", ")
        shown += [line for service in who for line in _lines_of(seen, service)]
    return replace(cause, evidence=tuple(shown))


def _touches(effect: Cause, cause: Cause) -> bool:
    return cause.service in (effect.service, effect.details.get("callee"))


def _lines_of(seen: Observed, service: str) -> list[Evidence]:
    border = seen.onset if seen.onset is not None else (seen.start + seen.end) / 2
    novel = log_patterns.novel(
        seen.lines_before, seen.lines_during, service, (border - seen.start, seen.end - border)
    )
    return [evidence.log(seen, line, count, kind) for kind, count, line in novel[:2]]
