"""Where the time of a slow service goes, and for whom, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median

from dashcam.diagnose import evidence
from dashcam.diagnose.contrast import RECALL, WIDEST, scope_of
from dashcam.diagnose.findings import HARM, Cause
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.ongoing import over
from dashcam.diagnose.places import Place, Visit, title
from dashcam.diagnose.traced import Traced, names, rest
from dashcam.diagnose.waits import LASTS, Slowed, Usual, Waits

ELSEWHERE = 0.5
"""The share of the lost time that the way between two services must be, to be told as such."""


@dataclass(frozen=True)
class _Costliest:
    """The place of a slow service that costs the most: late visits, the others since, those before."""

    place: Place
    late: Sequence[tuple[float, Visit]]
    fast: Sequence[Visit]
    usual: Sequence[float]
    way: bool


def _costliest(here: Sequence[Waits], slowed: Slowed) -> _Costliest:
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


def cause(
    seen: Observed, found: Traced, here: Sequence[Waits], slowed: Slowed, share: float, chance: float
) -> Cause:
    """A service that became slow, by the place that costs it the most."""
    most, service = _costliest(here, slowed), here[0].request.service
    late, visits = [seconds for seconds, _ in most.late], [visit for _, visit in most.late]
    # A trace of which parts have not arrived yet can have one that seems to have kept nobody waiting.
    nearly_all = len(late) >= WIDEST * (len(late) + len(most.fast))
    scope, figures = scope_of(*_raised(found, visits)) if nearly_all else scope_of(visits, most.fast)
    usual = evidence.seconds(median(most.usual)) if most.usual else ""
    took = evidence.seconds(mean(late))
    where = title(most.place, found.known)
    between = most.way and most.place.service == visits[0].span.service
    what = f"the way to {where}" if between else where
    only = f", where {scope[0]}" if scope else ""
    result = f"{len(late)} of {len(late) + len(most.fast)} times {what} of {service} itself took {took}"
    if between:
        own = evidence.seconds(median(visit.span.duration for visit in visits) / 1e6)
        result += f" ({service} says that it took {own}: the time lies between)"
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
    """The parents of `late`, and their likes without: where all visits are late, asking why they happen.

    Nothing, where for too many of them it is not known who asked: they need not share what the parents do.
    """
    parents = {(visit.trace.trace_id, visit.span.parent_id) for visit in late}
    raised = [visit for visit in found.during if (visit.trace.trace_id, visit.span.span_id) in parents]
    places = {visit.place for visit in raised}
    ids = {id(visit) for visit in raised}
    unasked = sum(visit.span.parent_id not in visit.trace.by_id for visit in late)
    if unasked > (1 - RECALL) * len(late):
        return [], []
    return raised, [visit for visit in found.during if visit.place in places and id(visit) not in ids]
