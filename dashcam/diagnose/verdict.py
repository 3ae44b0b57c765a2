"""From single findings to an answer: what is the root, what follows from it, what was ruled out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dashcam.diagnose import (
    changes,
    clocks,
    contention,
    continuity,
    hypotheses,
    log_changes,
    messaging,
    observe,
    processes,
    recovery,
    repeats,
    runtimes,
    symptoms,
    telemetry_gaps,
    trace_causes,
    unfinished,
    volumes,
)
from dashcam.diagnose.brokers import with_brokers
from dashcam.diagnose.findings import HARM, SHED, WASTE, Cause, Diagnosis
from dashcam.diagnose.follows import SAID, follows, slow_statements, weighed
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.ongoing import of_now
from dashcam.diagnose.places import callees
from dashcam.diagnose.ruled_out import ruled_out
from dashcam.diagnose.significance import SURE
from dashcam.diagnose.slowness import slow
from dashcam.diagnose.support import noticed, supported
from dashcam.diagnose.traced import traced
from dashcam.sources import Alert, Sources

TELLING = {
    **{"down": 0, "restarting": 0, "descriptors": 0, "unanswered": 1},
    **{"broker away": 1, "stopped consumer": 1, "queue full": 2, "poison": 2, "slow consumer": 3},
    **{
        "statements": 2,
        "event loop": 2,
        "garbage": 2,
        "log lines": 3,
        "failing": 4,
        "slow": 4,
        "new log line": 5,
        "missing log line": 6,
    },
}
"""How much a kind says about its place, the most telling first; what is not listed says less."""

SHORT, BRIEF = 30.0, 300.0
"""Seconds before the onset, or in all where there is none, that are too few to know what is usual."""


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
    told = [*slow(every, found), *log_changes.causes(every, found.requests), *messaging.causes(every)]
    known = [cause for cause in told if cause.since]
    first = min(known, key=lambda cause: cause.chance, default=None)
    return max(first.since or 0.0, seen.start) if first else None


def onset(seen: Observed) -> float | None:
    """When what is wrong now began, as far as metrics tell; where nothing is, when the worst that was began.

    What users notice decides; what only costs counts where they notice nothing.
    """
    told = replace(seen, detailed=False)  # by metrics alone, also when a recording is looked at again
    harms = [(s.step.start, s.step.end, s.step.during) for s in symptoms.weighty(symptoms.symptoms(seen))]
    kept = (
        *processes.causes(seen),
        *runtimes.causes(seen),
        *volumes.causes(seen, {}),
        *unfinished.causes(seen),
        *telemetry_gaps.gaps(told),
    )
    kept = tuple(cause for cause in kept if of_now(seen, cause))
    known = [(cause.since, cause.until, cause.impact, cause.rank) for cause in kept if cause.since]
    harms += [(since, until, weight) for since, until, weight, rank in known if rank < WASTE]
    wastes = [(since, until, weight) for since, until, weight, rank in known if rank == WASTE]
    for every in (harms, wastes):
        if lasting := [since for since, until, _ in every if until is None]:
            return min(lasting)
        if every:
            return max(every, key=lambda one: one[2])[0]
    return None


def judge(seen: Observed) -> Diagnosis:
    """The answer to what was observed; asks nothing more."""
    seen, skewed = clocks.put_right(seen)
    found = traced(seen)
    telemetry = [*telemetry_gaps.gaps(seen, {cause.service for cause in skewed}), *skewed]
    felt = symptoms.symptoms(seen)
    every = [
        *trace_causes.causes(seen, found),
        *log_changes.causes(seen, found.requests),
        *continuity.broken(seen, found),
        *messaging.causes(seen),
        *unfinished.causes(seen),
        *processes.causes(seen),
        *runtimes.causes(seen),
        *repeats.joined(seen, found, volumes.causes(seen, found.known)),
    ]
    every = [cause for cause in every if of_now(seen, cause) and not recovery.recovered(seen, found, cause)]
    below = with_brokers(seen, callees([*found.before, *found.during]))
    every = [weighed(cause, every, below) for cause in every]
    late = slow_statements(every)
    ordered = sorted(every, key=lambda cause: _order(cause, below, late))
    roots: list[Cause] = []
    effects: list[tuple[Cause, str]] = []
    of: dict[int, list[Cause]] = {}
    for cause in ordered:
        widened = ((root, _with_failed(root, of.get(id(root), ()))) for root in roots)
        reasons = ((why, root) for root, wide in widened if (why := follows(cause, wide, below, seen)))
        reason, root = next(reasons, ("", cause))
        if reason:
            effects.append((cause, reason))
            of.setdefault(id(root), []).append(cause)
        else:
            roots.append(cause)
    roots.sort(key=lambda cause: _urgency(cause, _suffering(every)))
    came = changes.happened(seen)
    roots = [unfinished.shown(cause, of.get(id(cause), ())) for cause in roots]
    follow = [cause for cause, _ in effects]
    roots = [supported(seen, cause, follow, noticed(cause, felt, below)) for cause in roots]
    roots = [changes.shown(cause, came) for cause in roots]
    return Diagnosis(
        seen.start,
        seen.end,
        tuple(sorted(processes.services(seen) | set(seen.traced))),
        tuple(telemetry),
        tuple(felt),
        tuple(roots),
        tuple(effects),
        (*ruled_out(seen, every, felt, came), *changes.ruled_out(seen, came, every)),
        tuple(sorted({alert.name for alert in seen.alerts if _firing(alert)})),
        (*telemetry_gaps.thin(seen), *telemetry_gaps.young(seen), *contention.noted(seen)),
        tuple(hypotheses.rivals(seen, found, roots, came)),
    )


def _with_failed(root: Cause, effects: Sequence[Cause]) -> Cause:
    """`root` with the requests too that failed because of it.

    Those that were refused at once, by who is overrun or an open circuit, can be more than its own.
    """
    failed = frozenset().union(*(effect.traces for effect in effects if effect.kind == "failing"))
    return replace(root, traces=root.traces | failed) if root.traces else root


def _firing(alert: Alert) -> bool:
    return alert.state == "firing" and alert.labels.get("severity") != "none"


def _order(
    cause: Cause, below: Mapping[str, set[str]], late: frozenset[str]
) -> tuple[int, int, int, bool, float]:
    """Worst first; then the most telling; then who is furthest down, refusals last; then the most frequent.

    Who does not answer for what it waits for itself, a service `late` by a statement, comes after that.
    """
    telling = TELLING.get(cause.kind, len(TELLING))
    rank = cause.rank
    if cause.kind == "unanswered" and cause.service in late:
        rank, telling = max(rank, HARM), len(TELLING)
    return rank, telling, len(below.get(cause.service, ())), SHED in cause.details, -cause.impact


def _suffering(every: Sequence[Cause]) -> frozenset[str]:
    """The traces in which anything is wrong."""
    return frozenset().union(*(cause.traces for cause in every))


def _urgency(cause: Cause, suffering: frozenset[str]) -> tuple[bool, int, bool, float]:
    """What lasts before what is over, what harms before what only costs, then the sure, then by impact."""
    impact = len(cause.traces) / len(suffering) if cause.traces else cause.impact
    if cause.kind in SAID:
        impact *= cause.impact  # what was said before, if less often, is less of a reason
    return cause.until is not None, cause.rank, cause.chance > SURE, -impact
