"""Services that keep their requests waiting: which ones, since when, and whether chance does the same."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from statistics import median

from dashcam.diagnose import slow_places, symptoms
from dashcam.diagnose.contention import contended
from dashcam.diagnose.findings import Cause
from dashcam.diagnose.message_spans import PROCESS, role
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.ongoing import of_now
from dashcam.diagnose.places import Place, Visit, callees
from dashcam.diagnose.processes import burning
from dashcam.diagnose.served import Served
from dashcam.diagnose.significance import FEWEST, LIKELY, SURE, Change, by_group, rise, shift
from dashcam.diagnose.traced import Traced
from dashcam.diagnose.waits import LASTS, Slowed, Usual, Waits
from dashcam.diagnose.ways import payers

GROWN, LEAST = 0.5, 0.015
"""By how much of the usual, and by how many seconds, what a request waits must have grown on average."""
MATTERS, MOSTLY = 0.15, 0.5
"""The share of all lost time that a service must account for, or of what those lose that it makes late."""
PREVAIL = {1: 0.5, 2: 0.7}
"""On a machine that is short of time, where a little is lost everywhere: how much of it one service, or two
of about the same weight, must account for."""
CERTAIN = 8
"""Late requests that have something in common and need no metric to confirm them."""
TRIES = 2
"""Each service is looked at in two ways: whether more requests are late, and whether all take longer."""


def slow(seen: Observed, found: Traced) -> list[Cause]:
    """Services that keep their requests waiting for longer, each by the place that costs the most.

    A service is looked at as a whole: what makes one slow, slows all that it does, and each of its operations
    alone may be asked for too seldom to tell.
    """
    paying = payers(found.requests)
    groups: dict[str, list[Waits]] = {}
    for request in found.requests:
        if role(request.visits[0].span) == PROCESS:
            continue  # nobody waits for it: how long messages wait and take, their own search tells
        waits = Waits(request, list(_owed(request, paying, found.known)))
        groups.setdefault(request.service, []).append(waits)
    border = min((visit.trace.start for visit in found.during), default=0) if found.usual else None
    tried = TRIES * len(groups)
    slowed = {
        service: one
        for service, here in groups.items()
        if (one := _slowed(here, border)) and one.change.chance * tried <= LIKELY
    }
    # What was before the time that is diagnosed is only to know what is usual.
    slowed = {
        service: one
        for service, one in slowed.items()
        if one.since[-FEWEST].request.start >= seen.start * 1e6
    }
    total = sum(one.cost for one in slowed.values()) or 1.0
    busy = contended(seen)
    matters = _prevailing([one.cost for one in slowed.values()]) if busy else MATTERS
    causes = [
        (
            slow_places.cause(seen, found, groups[service], one, one.cost / total, one.change.chance * tried),
            one.change,
        )
        for service, one in slowed.items()
        if (one.cost / total >= matters or (not busy and _alone(one, slowed.values())))
        and _lasted(one.since) >= LASTS
    ]
    confirmed = [cause for cause, change in causes if _confirmed(seen, found, cause, change)]
    return confirmed if confirmed or found.usual else _apart(seen, found, groups)


def _alone(one: Slowed, every: Collection[Slowed]) -> bool:
    """Whether a service has most of what those lose that it makes late, and they lose as much as others.

    Of two faults at once the smaller is a small share of all, and still no part of the larger explains it.
    """
    if len(one.lost) < FEWEST:
        return False
    whole = sum(each.lost.get(trace, 0.0) for each in every for trace in one.lost)
    usually = max(median(each.lost.values()) for each in every if each.lost)
    return sum(one.lost.values()) >= MOSTLY * whole and median(one.lost.values()) >= MOSTLY * usually


def _apart(seen: Observed, found: Traced, groups: Mapping[str, Sequence[Waits]]) -> list[Cause]:
    """Where nothing is known from before: what is late and has one thing in common that others have not."""
    causes = []
    for here in groups.values():
        usual = _usual(here, None)
        late = [one for one in here if one.seconds > usual[one.kind].late]
        cost = sum(one.seconds - usual[one.kind].mean for one in late)
        if len(late) >= CERTAIN and cost >= sum(one.seconds for one in here) / 2 and _lasted(late) >= LASTS:
            # How sure cannot be said beside what was: it is told as barely likely.
            every = Slowed(Change(0, 0, 0, len(late), len(here), LIKELY), cost, here)
            causes.append(slow_places.cause(seen, found, here, every, 1.0, LIKELY))
    return [cause for cause in causes if cause.scope]


def _owed(
    request: Served, paying: Mapping[tuple[str, str], str], known: Mapping[str, str]
) -> Iterator[tuple[Place, float, Visit]]:
    """What of a request's time its service is to blame for: its own, and ways to it and from it."""
    for visit in request.visits:
        # A call of one who answers with spans elsewhere: what it waited for has not arrived yet.
        if visit.place.peer not in known or visit.tree.children(visit.span):
            yield visit.place, visit.waited - visit.way, visit
    if paying.get((request.caller, request.service), request.service) == request.service:
        yield request.visits[0].place, request.way, request.visits[0]
    for call in request.calls:
        if paying.get((request.service, call.service)) == request.service:
            yield Place(request.service, f"calls of {call.service}"), call.way, call.visits[0]


def _slowed(here: Sequence[Waits], border: int | None) -> Slowed | None:
    """Whether requests wait longer from some moment on: more of them late, or nearly all a little longer."""
    usual = _usual(here, border)
    # What failed in the end, has waited in vain: that is told as a failure, with its own place.
    here = [one for one in here if not any(visit.span.failed for visit in one.request.visits)]
    tardy = [one.seconds > usual[one.kind].late for one in here]
    longest = [one.seconds / max(usual[one.kind].mean, 1e-3) for one in here]
    late, longer = _of_traces(rise(tardy), tardy, here), shift(longest)
    if longer:
        limit = sorted(longest)[longer.index - 1]
        longer = _of_traces(longer, [value > limit for value in longest], here)
    best = None
    for change in (late, longer):
        if change is None or (best and best.change.chance <= change.chance):
            continue
        # The clearest border need not be the first: what is known to be since the onset, is.
        first = min(here[change.index].request.start, border or math.inf)
        before = [one for one in here if one.request.start < first]
        since = here[len(before) :]
        was = sum(one.seconds - usual[one.kind].mean for one in before) / max(1, len(before))
        grown = sum(one.seconds - usual[one.kind].mean for one in since) / len(since) - max(was, 0.0)
        expected = sum(usual[one.kind].mean for one in since) / len(since)
        if change is late or (change.wholly and grown >= max(LEAST, GROWN * expected)):
            best = Slowed(change, max(0.0, grown * len(since)), since, _lost(since, usual))
    return best


def _lost(since: Sequence[Waits], usual: Mapping[str, Usual]) -> Mapping[str, float]:
    """What the late requests lose, in seconds by the id of their trace."""
    lost: dict[str, float] = {}
    for one in since:
        if one.seconds > usual[one.kind].late:
            trace = one.request.trace_id
            lost[trace] = lost.get(trace, 0.0) + one.seconds - usual[one.kind].mean
    return lost


def _of_traces(change: Change | None, flags: Sequence[bool], here: Sequence[Waits]) -> Change | None:
    """`change` where what a service does several times for one trace is seen once."""
    return change and by_group(change, flags, [one.request.trace_id for one in here])


def _usual(here: Sequence[Waits], border: int | None) -> Mapping[str, Usual]:
    """What is usual for each operation, by the time before `border`; without one, by the quicker half."""
    kinds: dict[str, list[tuple[int, float]]] = {}
    for one in here:
        kinds.setdefault(one.kind, []).append((one.request.visits[0].trace.start, one.seconds))
    if border is None:
        return {
            kind: Usual.of(sorted(value for _, value in each)[: len(each) // 2 + 1])
            for kind, each in kinds.items()
        }
    return {
        kind: Usual.of([value for start, value in each if start < border]) for kind, each in kinds.items()
    }


def _prevailing(costs: Sequence[float]) -> float:
    """The share from which on a service stands out from what is lost everywhere; above 1 where none does."""
    largest = [cost for cost in costs if cost >= max(costs) / 2]
    if not largest or sum(largest) < PREVAIL.get(len(largest), math.inf) * sum(costs):
        return math.inf
    return min(largest) / sum(costs)


def _lasted(since: Sequence[Waits]) -> float:
    starts = [one.request.start for one in since]
    return (max(starts) - min(starts)) / 1e6


def _confirmed(seen: Observed, found: Traced, cause: Cause, change: Change) -> bool:
    """Whether more than a few traces say so: traces are a choice, and each has its slow moments.

    Metrics count every request. Where the service or its callers have some and no route is slower by them,
    only what hits a part of the requests can be: those then have something in common. Without metrics, it is
    named if chance hardly does the same, if it is all or nothing, if the slow ones have something in common,
    or if the process computes more too.
    """
    calls = callees([*found.before, *found.during])
    near = {cause.service} | {one for one, called in calls.items() if cause.service in called}
    if near & {symptom.service for symptom in symptoms.symptoms(seen)}:
        return True
    if near & {one.labels.get("job") for one in seen.named("time")}:
        return bool(cause.scope) and len(cause.traces) >= CERTAIN
    if cause.chance <= SURE or cause.scope or change.wholly:
        return True
    return any(one.service == cause.service and of_now(seen, one) for one in burning(seen))
