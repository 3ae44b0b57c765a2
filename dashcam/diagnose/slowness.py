"""Services that keep their requests waiting, and the places where the time goes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

from dashcam.diagnose import evidence, symptoms
from dashcam.diagnose.contention import contended
from dashcam.diagnose.contrast import WIDEST, scope_of
from dashcam.diagnose.findings import HARM, Cause
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.ongoing import over
from dashcam.diagnose.places import Place, Visit, callees, title
from dashcam.diagnose.processes import burning
from dashcam.diagnose.served import Served
from dashcam.diagnose.significance import FEWEST, LIKELY, SURE, Change, rise, shift
from dashcam.diagnose.traced import Traced, names, rest
from dashcam.diagnose.ways import payers

SLOWER, EXCESS = 3.0, 0.03
"""What is late: from SLOWER times the usual 90th percentile on, and from EXCESS seconds above it."""
UNKNOWN = 0.1
"""From how many seconds on something is late where none of its kind is known from before."""
GROWN, LEAST = 0.5, 0.015
"""By how much of the usual, and by how many seconds, what a request waits must have grown on average."""
LASTS = 5.0
"""Seconds over which late requests must lie: a machine that stops for a moment makes all late."""
MATTERS = 0.15
"""The share of all lost time that a service must account for."""
PREVAIL = {1: 0.5, 2: 0.7}
"""On a machine that is short of time, where a little is lost everywhere: how much of it one service, or two
of about the same weight, must account for."""
CERTAIN = 8
"""Late requests that have something in common and need no metric to confirm them."""
ELSEWHERE = 0.5
"""The share of the lost time that the way between two services must be, to be told as such."""
TRIES = 2
"""Each service is looked at in two ways: whether more requests are late, and whether all take longer."""


@dataclass(frozen=True)
class Usual:
    """How long something takes while all is well, in seconds: on average, and from when on it is late."""

    mean: float
    late: float

    @classmethod
    def of(cls, earlier: Sequence[float]) -> Usual:
        """From what was measured before."""
        if not earlier:
            return cls(0.0, UNKNOWN)
        high = sorted(earlier)[min(len(earlier) - 1, int(0.9 * len(earlier)))]
        return cls(mean(earlier), max(SLOWER * high, high + EXCESS))


@dataclass(frozen=True)
class _Waits:
    """A request and what it waited for: seconds at each place, for which its service is to blame."""

    request: Served
    at: Sequence[tuple[Place, float, Visit]]

    @property
    def seconds(self) -> float:
        return sum(seconds for _, seconds, _ in self.at)

    @property
    def kind(self) -> str:
        return self.request.operation


@dataclass(frozen=True)
class _Slowed:
    """A service whose requests wait longer since the `change`, the seconds lost, and those requests."""

    change: Change
    cost: float
    since: Sequence[_Waits]


def slow(seen: Observed, found: Traced) -> list[Cause]:
    """Services that keep their requests waiting for longer, each by the place that costs the most.

    A service is looked at as a whole: what makes one slow, slows all that it does, and each of its operations
    alone may be asked for too seldom to tell.
    """
    paying = payers(found.requests)
    groups: dict[str, list[_Waits]] = {}
    for request in found.requests:
        waits = _Waits(request, list(_owed(request, paying, found.known)))
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
    matters = _prevailing([one.cost for one in slowed.values()]) if contended(seen) else MATTERS
    causes = [
        (_cause(seen, found, groups[service], one, one.cost / total, one.change.chance * tried), one.change)
        for service, one in slowed.items()
        if one.cost / total >= matters and _lasted(one.since) >= LASTS
    ]
    confirmed = [cause for cause, change in causes if _confirmed(seen, found, cause, change)]
    return confirmed if confirmed or found.usual else _apart(seen, found, groups)


def _apart(seen: Observed, found: Traced, groups: Mapping[str, Sequence[_Waits]]) -> list[Cause]:
    """Where nothing is known from before: what is late and has one thing in common that others have not."""
    causes = []
    for here in groups.values():
        usual = _usual(here, None)
        late = [one for one in here if one.seconds > usual[one.kind].late]
        cost = sum(one.seconds - usual[one.kind].mean for one in late)
        if len(late) >= CERTAIN and cost >= sum(one.seconds for one in here) / 2 and _lasted(late) >= LASTS:
            # How sure cannot be said beside what was: it is told as barely likely.
            every = _Slowed(Change(0, 0, 0, len(late), len(here), LIKELY), cost, here)
            causes.append(_cause(seen, found, here, every, 1.0, LIKELY))
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


def _slowed(here: Sequence[_Waits], border: int | None) -> _Slowed | None:
    """Whether requests wait longer from some moment on: more of them late, or nearly all a little longer."""
    usual = _usual(here, border)
    # What failed in the end, has waited in vain: that is told as a failure, with its own place.
    here = [one for one in here if not any(visit.span.failed for visit in one.request.visits)]
    late = rise([one.seconds > usual[one.kind].late for one in here])
    longer = shift([one.seconds / max(usual[one.kind].mean, 1e-3) for one in here])
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
            best = _Slowed(change, max(0.0, grown * len(since)), since)
    return best


def _usual(here: Sequence[_Waits], border: int | None) -> Mapping[str, Usual]:
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


def _lasted(since: Sequence[_Waits]) -> float:
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
    return any(one.service == cause.service for one in burning(seen))


# -- in words --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Costliest:
    """The place of a slow service that costs the most: late visits, the others since, those before."""

    place: Place
    late: Sequence[tuple[float, Visit]]
    fast: Sequence[Visit]
    usual: Sequence[float]
    way: bool


def _costliest(here: Sequence[_Waits], slowed: _Slowed) -> _Costliest:
    first = slowed.since[0].request.start
    spent: dict[Place, dict[int, tuple[float, Visit]]] = {}
    for one in here:
        for place, seconds, visit in one.at:
            whole = spent.setdefault(place, {}).get(id(visit), (0.0, visit))[0]
            spent[place][id(visit)] = whole + seconds, visit

    def parted(place: Place) -> tuple[list[float], list[tuple[float, Visit]]]:
        every = spent[place].values()
        return [s for s, v in every if v.span.start < first], [
            (s, v) for s, v in every if v.span.start >= first
        ]

    def cost(place: Place) -> float:
        before, since = parted(place)
        return sum(seconds for seconds, _ in since) - len(since) * (mean(before) if before else 0.0)

    def lasting(place: Place) -> bool:
        before, since = parted(place)
        limit = Usual.of(before).late
        starts = [visit.span.start for seconds, visit in since if seconds > limit]
        return bool(starts) and max(starts) - min(starts) >= LASTS * 1e6

    # Where a machine stops for a moment, everything is late at once: what is late for longer comes first.
    place = max(spent, key=lambda each: (lasting(each), cost(each)))
    before, since = parted(place)
    limit = Usual.of(before).late
    late = [each for each in since if each[0] > limit]
    if sum(seconds for seconds, _ in late) < cost(place) / 2:  # all take a little longer
        middle = (mean(before) if before else 0.0) + cost(place) / len(since) / 2
        late = [each for each in since if each[0] > middle] or since
    ids = {id(visit) for _, visit in late}
    way = sum(min(seconds, visit.way) for seconds, visit in late)
    return _Costliest(
        place,
        late,
        [visit for _, visit in since if id(visit) not in ids],
        before,
        way >= ELSEWHERE * sum(seconds for seconds, _ in late),
    )


def _cause(
    seen: Observed, found: Traced, here: Sequence[_Waits], slowed: _Slowed, share: float, chance: float
) -> Cause:
    most, service = _costliest(here, slowed), here[0].request.service
    late, visits = [seconds for seconds, _ in most.late], [visit for _, visit in most.late]
    # A trace of which parts have not arrived yet can have one that seems to have kept nobody waiting.
    nearly_all = len(late) >= WIDEST * (len(late) + len(most.fast))
    scope, figures = scope_of(*_raised(found, visits)) if nearly_all else scope_of(visits, most.fast)
    usual = evidence.seconds(median(most.usual)) if most.usual else ""
    took = evidence.seconds(mean(late))
    where = title(most.place, found.known)
    what = f"the way to {where}" if most.way and most.place.service == visits[0].span.service else where
    only = f", where {scope[0]}" if scope else ""
    result = f"{len(late)} of {len(late) + len(most.fast)} times {what} of {service} itself took {took}"
    worst = max(most.late, key=lambda each: each[0])[1]
    return Cause(
        "slow",
        service,
        most.place.operation,
        f"{service} is slow: {what} takes {took}" + (f" instead of {usual}" if usual else "") + only,
        HARM,
        share,
        since=min(visit.span.start for visit in visits) / 1e6,
        until=over(visits, most.fast, seen.end),
        scope=scope,
        details={**names(most.place), **_between(most), **figures},
        evidence=(
            evidence.trace(
                seen, worst.trace, result + (f"; before it was {usual}" if usual else "") + rest(figures)
            ),
        ),
        chance=chance,
        traces=frozenset(visit.trace.trace_id for visit in visits),
    )


def _between(most: _Costliest) -> dict[str, str]:
    """The edge on which the time is lost, where it cannot be told which of the two ends it is."""
    ends = {
        f"{parent.service} to {visit.span.service}"
        for _, visit in most.late
        if (parent := visit.trace.by_id.get(visit.span.parent_id or ""))
        and parent.service != visit.span.service
    }
    return {"edge": ", ".join(sorted(ends))} if most.way and ends else {}


def _raised(found: Traced, late: Sequence[Visit]) -> tuple[list[Visit], list[Visit]]:
    """The parents of `late`, and their likes without: where all visits are late, asking why they happen."""
    parents = {(visit.trace.trace_id, visit.span.parent_id) for visit in late}
    bad = [visit for visit in found.during if (visit.trace.trace_id, visit.span.span_id) in parents]
    places = {visit.place for visit in bad}
    ids = {id(visit) for visit in bad}
    return bad, [visit for visit in found.during if visit.place in places and id(visit) not in ids]
