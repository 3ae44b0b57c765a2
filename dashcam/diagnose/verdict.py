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
    log_changes,
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
from dashcam.diagnose.significance import SURE
from dashcam.diagnose.slowness import slow
from dashcam.diagnose.traced import traced
from dashcam.sources import Alert, Sources

TELLING = {
    **{"down": 0, "restarting": 0, "unanswered": 1},
    **{"statements": 2, "log lines": 3, "failing": 4, "slow": 4, "new log line": 5, "missing log line": 6},
}
"""How much a kind says about its place, the most telling first; what is not listed says less."""

DEPENDENT = frozenset({"saturated", "calls", "log lines", "processor", "dependency", "series"})
"""Kinds that a fault further down, or a more telling one at the same place, brings about by itself."""

SAID = frozenset({"new log line", "missing log line"})
"""Kinds that log lines tell, which say less about a place than a failure or a slowness there."""

SHORT, BRIEF = 30.0, 300.0
"""Seconds before the onset, or in all where there is none, that are too few to know what is usual."""

EVERY_INSTANCE = "every instance answers its scrapes, and none was started again and again"

COVERED = 0.5
"""The share of the traces that suffer from a cause that another one must hold to explain it."""

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
    began = onset(seen)
    seen = observe.details(sources, seen, began)
    if (began is None and end - start < BRIEF) or (began is not None and began - start < SHORT):
        seen = observe.past(sources, seen)
    return seen if began is not None else observe.parted(seen, turn(seen))


def turn(seen: Observed) -> float | None:
    """When the clearest change that traces and log lines show began: for where metrics tell of none."""
    every = replace(seen, before=(), during=[*seen.before, *seen.during])
    found = traced(every)
    told = [*slow(every, found), *log_changes.causes(every, found.requests)]
    known = [cause for cause in told if cause.since]
    first = min(known, key=lambda cause: cause.chance, default=None)
    return max(first.since or 0.0, seen.start) if first else None


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
    found = traced(seen)
    telemetry = [*telemetry_gaps.gaps(seen), *skewed]
    felt = symptoms.symptoms(seen)
    every = [
        *trace_causes.causes(seen, found),
        *log_changes.causes(seen, found.requests),
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
    roots.sort(key=lambda cause: _urgency(cause, _suffering(every)))
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
        (*telemetry_gaps.thin(seen), *telemetry_gaps.young(seen), *contention.noted(seen)),
    )


def _firing(alert: Alert) -> bool:
    return alert.state == "firing" and alert.labels.get("severity") != "none"


def _order(cause: Cause, below: Mapping[str, set[str]]) -> tuple[int, int, int, float]:
    """Worst first; then the most telling; then who is furthest down; then the most frequent."""
    telling = TELLING.get(cause.kind, len(TELLING))
    return cause.rank, telling, len(below.get(cause.service, ())), -cause.impact


def _suffering(every: Sequence[Cause]) -> frozenset[str]:
    """The traces in which anything is wrong."""
    return frozenset().union(*(cause.traces for cause in every))


def _urgency(cause: Cause, suffering: frozenset[str]) -> tuple[bool, int, bool, float]:
    """What lasts before what is over, what harms before what only costs, then the sure, then by impact."""
    impact = len(cause.traces) / len(suffering) if cause.traces else cause.impact
    if cause.kind in SAID:
        impact *= cause.impact  # what was said before, if less often, is less of a reason
    return cause.until is not None, cause.rank, cause.chance > SURE, -impact


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
    if downstream and (cause.service, root.service) in processes.refusing(seen) and cause.kind == "failing":
        return f"{cause.service} has stopped calling {root.service} and refuses at once"
    if not _covers(root, cause):
        return None
    if root.service == cause.service:
        return _follows_within(cause, root)
    return _follows_from_below(cause, root) if downstream else None


def _follows_within(cause: Cause, root: Cause) -> str | None:
    """Why `cause` follows from `root` in the same service."""
    if root.kind in ("down", "restarting") and cause.kind != root.kind:
        return f"{root.service} does not run"
    if cause.kind in SAID and root.rank <= HARM:
        return f"its requests are those that suffer from: {root.summary}"
    if cause.kind in ("unanswered", "saturated", "slow") and root.kind == "unanswered":
        return f"{root.service} does not answer"
    if cause.kind in DEPENDENT and root.rank <= HARM:
        return f"it is in the same service as: {root.summary}"
    if cause.kind == "slow" and root.kind in WORK and not cause.scope:
        return f"it does more for each request: {root.summary}"
    if cause.kind == "slow" and root.kind == "failing" and cause.scope == root.scope:
        return f"what fails there is also slow: {root.summary}"
    return None


def _follows_from_below(cause: Cause, root: Cause) -> str | None:
    """Why `cause` follows from `root` in a service that it calls, near or far."""
    if root.rank > HARM:
        return None
    if cause.kind in SAID:
        return f"its requests are those that suffer from: {root.summary}"
    if cause.kind == "slow" and "peer" in cause.details:
        return f"{cause.service} waits until {root.service} takes its calls"
    if cause.kind in DEPENDENT and (cause.kind, root.kind) != ("processor", "slow"):
        return f"{cause.service} waits for or repeats calls of {root.service}"
    if root.kind in ("down", "restarting", "unanswered") and cause.kind in ("failing", "unanswered"):
        return f"{cause.service} calls {root.service}, which does not answer"
    return None


def _covers(root: Cause, cause: Cause) -> bool:
    """Whether most of what suffers from `cause` suffers from `root` too, as far as traces tell of both."""
    if not root.traces or not cause.traces:
        return True
    return len(root.traces & cause.traces) >= COVERED * len(cause.traces)


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
    """What was looked at and found well, in words, and of which services nobody can say it."""
    kinds = {cause.kind for cause in causes}
    mine = processes.services(seen)
    away = any(v == 0 for s in seen.named("up") if s.labels.get("job") in mine for _, v in s.points)
    looked: list[tuple[str, bool, str]] = [
        ("up", away or bool(kinds & {"down", "restarting"}), EVERY_INSTANCE),
        ("answers", any(symptom.what == "fails" for symptom in symptoms), "no route answers more 5xx"),
        ("busy", "saturated" in kinds, "no service is out of threads"),
        ("memory", "memory" in kinds, "no process's memory grows without end"),
        ("cpu", "processor" in kinds, "no process computes more than before"),
        ("statements", "statements" in kinds, "no service asks its database more often for each request"),
    ]
    said = [
        f"{text}{_unknown(seen, query)}" for query, found, text in looked if seen.named(query) and not found
    ]
    if seen.during and "cut traces" not in kinds:
        said.append("traces go on from service to service as before")
    started = {
        s.labels.get("job", "") for s in seen.named("started") if any(v > seen.start for _, v in s.points)
    }
    if seen.named("started") and not started & mine and not changes.arrivals(seen):
        said.append(f"nothing was deployed or restarted in this time{_unknown(seen, 'started')}")
    return said


def _unknown(seen: Observed, query: str) -> str:
    """Whom a query does not know, of those that send spans."""
    measured = {one.labels.get("job", "") for one in seen.named(query)}
    missing = sorted(set(seen.traced) - measured) if query != "statements" else []
    return f" (not known of {', '.join(missing)})" if missing else ""
