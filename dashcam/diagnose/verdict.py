"""From single findings to an answer: what is the root, what follows from it, what was ruled out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dashcam.diagnose import (
    changes,
    clocks,
    contention,
    continuity,
    evidence,
    log_patterns,
    observe,
    processes,
    symptoms,
    telemetry_gaps,
    trace_causes,
    volumes,
)
from dashcam.diagnose.findings import HARM, WASTE, Cause, Diagnosis, Evidence, Symptom
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.places import callees
from dashcam.sources import Alert, Sources

TELLING = {
    **{"down": 0, "restarting": 0, "unanswered": 1},
    **{"statements": 2, "log lines": 3, "failing": 4, "slow": 4},
}
"""How much a kind says about its place, the most telling first; what is not listed says less."""

DEPENDENT = frozenset({"saturated", "calls", "log lines", "processor", "dependency", "series"})
"""Kinds that a fault further down, or a more telling one at the same place, brings about by itself."""

WORK = frozenset({"statements", "log lines"})
"""Kinds that say what a service does more of for each request."""


def diagnose(sources: Sources, start: float, end: float, console: str = "") -> Diagnosis:
    """Look at the time from `start` to `end` (Unix seconds) and say what is wrong, and where."""
    return judge(observed(sources, start, end, console))


def observed(sources: Sources, start: float, end: float, console: str = "") -> Observed:
    """What :func:`judge` needs to know of this time."""
    seen = observe.metrics(sources, start, end, console)
    for cause in volumes.growing(seen):
        seen = observe.families(sources, seen, cause.service)
    return observe.details(sources, seen, onset(seen))


def onset(seen: Observed) -> float | None:
    """When what is wrong now began, as far as metrics tell; where nothing is, when the worst that was began.

    What users notice decides; what only costs counts where they notice nothing.
    """
    told = replace(seen, detailed=False)  # by metrics alone, also when a recording is looked at again
    harms = [(s.step.start, s.step.end, s.step.during) for s in symptoms.symptoms(seen)]
    kept = (*processes.causes(seen), *volumes.causes(seen, {}), *telemetry_gaps.gaps(told))
    known = [(cause.since, cause.until, cause.impact, cause.rank) for cause in kept if cause.since]
    harms += [(since, until, weight) for since, until, weight, rank in known if rank < WASTE]
    wastes = [(since, until, weight) for since, until, weight, rank in known if rank == WASTE]
    for noticed in (harms, wastes):
        if lasting := [since for since, until, _ in noticed if until is None]:
            return min(lasting)
        if noticed:
            return max(noticed, key=lambda one: one[2])[0]
    return None


def judge(seen: Observed) -> Diagnosis:
    """The answer to what was observed; asks nothing more."""
    seen, skewed = clocks.put_right(seen)
    found = trace_causes.traced(seen)
    telemetry = [*telemetry_gaps.gaps(seen), *skewed]
    felt = symptoms.symptoms(seen)
    every = [
        *trace_causes.causes(seen, found),
        *continuity.broken(seen, found),
        *processes.causes(seen),
        *volumes.causes(seen, found.known),
    ]
    below = callees([*found.before, *found.during])
    every = [_weighed(cause, every, below) for cause in every]
    ordered = sorted(every, key=lambda cause: _order(cause, below))
    roots: list[Cause] = []
    effects: list[tuple[Cause, str]] = []
    for cause in ordered:
        reason = next((why for root in roots if (why := _follows(cause, root, below, seen))), None)
        if reason:
            effects.append((cause, reason))
        else:
            roots.append(cause)
    # What is over explains what came of it, and yet is less to be looked at than what lasts.
    roots.sort(key=lambda cause: cause.until is not None)
    came = changes.arrivals(seen)
    follow = [cause for cause, _ in effects]
    roots = [_supported(seen, cause, follow, _felt(cause, felt, below)) for cause in roots]
    roots = [changes.shown(seen, cause, came) for cause in roots]
    return Diagnosis(
        seen.start,
        seen.end,
        tuple(sorted(processes.services(seen) | set(seen.traced))),
        tuple(telemetry),
        tuple(felt),
        tuple(roots),
        tuple(effects),
        tuple(_ruled_out(seen, every, felt)),
        tuple(sorted({alert.name for alert in seen.alerts if _firing(alert)})),
        (*telemetry_gaps.thin(seen), *contention.noted(seen)),
    )


def _firing(alert: Alert) -> bool:
    return alert.state == "firing" and alert.labels.get("severity") != "none"


def _order(cause: Cause, below: Mapping[str, set[str]]) -> tuple[int, int, int, float]:
    """Worst first; then the most telling; then who is furthest down; then the most frequent."""
    telling = TELLING.get(cause.kind, len(TELLING))
    return cause.rank, telling, len(below.get(cause.service, ())), -cause.impact


def _weighed(cause: Cause, every: Sequence[Cause], below: Mapping[str, set[str]]) -> Cause:
    """More work for each request is harm, and no mere waste, where it alone can be why its service is slow.

    It cannot where something fails there, or anything is wrong further down: then the work may be repeats and
    complaints.
    """
    if cause.kind not in WORK:
        return cause
    here = {one.kind for one in every if one.service == cause.service and not one.scope}
    elsewhere = any(one.rank <= HARM and one.service in below.get(cause.service, ()) for one in every)
    if "slow" not in here or here & {"failing", "unanswered"} or elsewhere:
        return cause
    return replace(cause, rank=HARM)


def _follows(cause: Cause, root: Cause, below: Mapping[str, set[str]], seen: Observed) -> str | None:
    """Why `cause` follows from `root`, or None where it does not."""
    downstream = root.service in below.get(cause.service, ())
    same = root.service == cause.service
    if same and root.kind in ("down", "restarting") and cause.kind != root.kind:
        return f"{root.service} does not run"
    if same and cause.kind in ("unanswered", "saturated", "slow") and root.kind == "unanswered":
        return f"{root.service} does not answer"
    if same and cause.kind in DEPENDENT and root.rank <= HARM:
        return f"it is in the same service as: {root.summary}"
    if same and cause.kind == "slow" and root.kind in WORK and not cause.scope:
        return f"it does more for each request: {root.summary}"
    if same and cause.kind == "slow" and root.kind == "failing" and cause.scope == root.scope:
        return f"what fails there is also slow: {root.summary}"
    if downstream and (cause.service, root.service) in processes.refusing(seen) and cause.kind == "failing":
        return f"{cause.service} has stopped calling {root.service} and refuses at once"
    if downstream and cause.kind == "slow" and "peer" in cause.details and root.rank <= HARM:
        return f"{cause.service} waits until {root.service} takes its calls"
    if downstream and cause.kind in DEPENDENT and root.rank <= HARM:
        return f"{cause.service} waits for or repeats calls of {root.service}"
    if (
        downstream
        and root.kind in ("down", "restarting", "unanswered")
        and cause.kind in ("failing", "unanswered")
    ):
        return f"{cause.service} calls {root.service}, which does not answer"
    return None


def _felt(cause: Cause, symptoms: Sequence[Symptom], below: Mapping[str, set[str]]) -> list[Evidence]:
    """What users notice in the figures of its service or, as who waits is slow too, of its callers."""
    own = [one.evidence for one in symptoms if one.service == cause.service]
    callers = {caller for caller, called in below.items() if cause.service in called}
    return own or [
        replace(one.evidence, result=f"{one.service} {one.subject}: {one.evidence.result}")
        for one in symptoms
        if cause.kind == "slow" and one.what == "is slow" and one.service in callers
    ]


def _supported(seen: Observed, cause: Cause, effects: Sequence[Cause], felt: Sequence[Evidence]) -> Cause:
    """`cause` with what the other signals say of the same place since then."""
    evidence = list(cause.evidence)
    signals = set(cause.signals)
    if "metrics" not in signals:
        evidence += felt[:1]
        evidence += [e for one in effects if one.service == cause.service for e in one.evidence][:1]
    if "traces" not in signals:
        evidence += [
            e for one in effects if _touches(one, cause) for e in one.evidence if e.signal == "traces"
        ][:1]
    if "logs" not in signals:
        evidence += _lines_of(seen, cause.service)
    return replace(cause, evidence=tuple(evidence))


def _touches(effect: Cause, cause: Cause) -> bool:
    return cause.service in (effect.service, effect.details.get("callee"))


def _lines_of(seen: Observed, service: str) -> list[Evidence]:
    border = seen.onset if seen.onset is not None else (seen.start + seen.end) / 2
    novel = log_patterns.novel(
        seen.lines_before, seen.lines_during, service, (border - seen.start, seen.end - border)
    )
    return [evidence.log(seen, line, count, kind) for kind, count, line in novel[:2]]


def _ruled_out(seen: Observed, causes: Sequence[Cause], symptoms: Sequence[Symptom]) -> list[str]:
    """What was looked at and found well, in words."""
    kinds = {cause.kind for cause in causes}
    said = []
    mine = processes.services(seen)
    away = any(v == 0 for s in seen.named("up") if s.labels.get("job") in mine for _, v in s.points)
    if seen.named("up") and not away and not kinds & {"down", "restarting"}:
        said.append("every instance answers its scrapes, and none was started again and again")
    if seen.named("answers") and not any(symptom.what == "fails" for symptom in symptoms):
        said.append("no route answers more 5xx than before")
    if seen.named("busy") and "saturated" not in kinds:
        said.append("no service is out of threads")
    if seen.named("memory") and "memory" not in kinds:
        said.append("no process's memory grows without end")
    if seen.named("cpu") and "processor" not in kinds:
        said.append("no process computes more than before")
    if seen.named("statements") and not kinds & {"statements"}:
        said.append("no service asks its database more often for each request")
    if seen.during and "cut traces" not in kinds:
        said.append("traces go on from service to service as before")
    started = {
        s.labels.get("job", "") for s in seen.named("started") if any(v > seen.start for _, v in s.points)
    }
    if seen.named("started") and not started & processes.services(seen) and not changes.arrivals(seen):
        said.append("nothing was deployed or restarted in this time")
    return said
