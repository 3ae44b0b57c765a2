"""Causes that traces show: places that became slow, and places where failures begin."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

from dashcam.diagnose import evidence, symptoms
from dashcam.diagnose.contention import contended
from dashcam.diagnose.contrast import WIDEST, scope_of
from dashcam.diagnose.findings import HARM, STOPPED, Cause
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.ongoing import over
from dashcam.diagnose.places import Place, Visit, by_place, callees, owners, title, visits
from dashcam.diagnose.processes import refusing
from dashcam.sources import Span

SLOWER, EXCESS = 3.0, 0.1
"""A visit is slow from SLOWER times the usual 90th percentile on, and from EXCESS seconds above it."""
LEAST_SLOW, SLOW_SHARE = 4, 0.03
LASTS = 10.0
"""Seconds over which slow visits must lie: where a machine stops for a moment, what is under way is late."""
LEAST_FAILED = 3
MATTERS = 0.15
"""The share of all lost time, or of all failures, that a place must account for."""
PREVAIL = {1: 0.5, 2: 0.7}
"""On a machine that is short of time, where a little is lost everywhere: how much of it one place, or two of
about the same weight, must account for."""
CERTAIN = 8
"""Slow visits that have something in common and need no metric to confirm them."""


@dataclass(frozen=True)
class Traced:
    """The spans before and since the fault, at their places, and who answers where."""

    before: Sequence[Visit]
    during: Sequence[Visit]
    known: Mapping[str, str]


def traced(seen: Observed) -> Traced:
    """Lay out the traces of `seen` by place."""
    before, during = visits(seen.before), visits(seen.during)
    return Traced(before, during, owners([*before, *during]))


def causes(seen: Observed, found: Traced) -> list[Cause]:
    """Everything that the traces alone give as a cause."""
    return [*slow(seen, found), *failing(seen, found)]


# -- slow ------------------------------------------------------------------------------------------


def slow(seen: Observed, found: Traced) -> list[Cause]:
    """Places whose own time on the critical path has grown, by the time they cost."""
    usual, now = by_place(found.before), by_place(found.during)
    lost: dict[Place, tuple[float, list[Visit], list[Visit]]] = {}
    for place, here in now.items():
        earlier = [visit.waited for visit in usual.get(place, ())]
        limit = _limit(earlier)
        # What failed in the end, has waited in vain: that is told as a failure, with its own place.
        late = [visit for visit in here if visit.waited > limit and not visit.span.failed]
        if len(late) < LEAST_SLOW or len(late) < SLOW_SHARE * len(here) or _lasted(late) < LASTS:
            continue
        if sum(value > limit for value in earlier) * len(here) * 2 > len(late) * max(1, len(earlier)):
            continue
        cost = sum(visit.waited for visit in late) - len(late) * (median(earlier) if earlier else 0.0)
        lost[place] = cost, late, [visit for visit in here if visit.waited <= limit]
    total = sum(cost for cost, _, _ in lost.values())
    matters = _prevailing([cost for cost, _, _ in lost.values()]) if contended(seen) else MATTERS
    causes = [
        (_slow_cause(seen, found, place, late, fast, usual.get(place, ()), cost / total), len(late))
        for place, (cost, late, fast) in lost.items()
        if cost / total >= matters
    ]
    return [cause for cause, late in causes if _confirmed(seen, found, cause, late)]


def _prevailing(costs: Sequence[float]) -> float:
    """The share from which on a place stands out from what is lost everywhere; above 1 where none does."""
    largest = [cost for cost in costs if cost >= max(costs) / 2]
    if not largest or sum(largest) < PREVAIL.get(len(largest), math.inf) * sum(costs):
        return math.inf
    return min(largest) / sum(costs)


def _lasted(late: Sequence[Visit]) -> float:
    starts = [visit.span.start for visit in late]
    return (max(starts) - min(starts)) / 1e6


def _confirmed(seen: Observed, found: Traced, cause: Cause, late: int) -> bool:
    """Whether more than a few traces say so: traces are a choice, and each has its slow moments.

    Metrics count every request. Where no route of the service or of its callers is slower by them, only what
    hits a part of the requests can be: those then have something in common.
    """
    if not seen.named("time") or (cause.scope and late >= CERTAIN):
        return True
    calls = callees([*found.before, *found.during])
    suffering = {symptom.service for symptom in symptoms.symptoms(seen)}
    return any(one == cause.service or cause.service in calls.get(one, ()) for one in suffering)


def _raised(found: Traced, late: Sequence[Visit]) -> tuple[list[Visit], list[Visit]]:
    """The parents of `late`, and their likes without: where all visits are late, asking why they happen."""
    parents = {(visit.trace.trace_id, visit.span.parent_id) for visit in late}
    bad = [visit for visit in found.during if (visit.trace.trace_id, visit.span.span_id) in parents]
    places = {visit.place for visit in bad}
    ids = {id(visit) for visit in bad}
    return bad, [visit for visit in found.during if visit.place in places and id(visit) not in ids]


def _limit(earlier: Sequence[float]) -> float:
    if not earlier:
        return EXCESS
    ordered = sorted(earlier)
    high = ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))]
    return max(SLOWER * high, high + EXCESS)


def _slow_cause(
    seen: Observed,
    found: Traced,
    place: Place,
    late: list[Visit],
    fast: list[Visit],
    usual: Sequence[Visit],
    share: float,
) -> Cause:
    # A trace of which parts have not arrived yet can have one that seems to have kept nobody waiting.
    nearly_all = len(late) >= WIDEST * (len(late) + len(fast))
    scope, figures = scope_of(*_raised(found, late)) if nearly_all else scope_of(late, fast)
    before = median(visit.waited for visit in usual) if usual else 0.0
    during = mean(visit.waited for visit in late)
    worst = max(late, key=lambda visit: visit.waited)
    where = title(place, found.known)
    result = (
        f"{len(late)} of {len(late) + len(fast)} times {where} of {place.service} itself took "
        f"{evidence.seconds(during)}; before it was {evidence.seconds(before)}"
    )
    only = f", where {scope[0]}" if scope else ""
    return Cause(
        "slow",
        place.service,
        place.operation,
        f"{place.service} is slow: {where} takes {evidence.seconds(during)} instead of "
        f"{evidence.seconds(before)}{only}",
        HARM,
        share,
        since=min(visit.span.start for visit in late) / 1e6,
        until=over(late, fast, seen.end),
        scope=scope,
        details={**_names(place), **figures},
        evidence=(evidence.trace(seen, worst.trace, result + _rest(figures)),),
    )


# -- failing ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Origin:
    """Where a failure began: the place, what failed there, and whether it was for want of an answer."""

    place: Place
    error: str
    silent: bool


def failing(seen: Observed, found: Traced) -> list[Cause]:
    """Places where failures begin: failed spans below which nothing failed."""
    usual = Counter(origin for origin, _ in origins(found.before, found.known))
    now: dict[Origin, list[Visit]] = {}
    for origin, visit in origins(found.during, found.known):
        now.setdefault(origin, []).append(visit)
    ratio = max(1, len(found.during)) / max(1, len(found.before))
    total = sum(len(each) for origin, each in now.items() if not _refused(seen, origin)) or 1
    places = by_place(found.during)
    return [
        _failing_cause(seen, found, origin, bad, places, min(1.0, len(bad) / total))
        for origin, bad in now.items()
        if len(bad) >= LEAST_FAILED
        and len(bad) > 3 * ratio * usual[origin]
        and len(bad) >= min(MATTERS * total, 10)
    ]


def _refused(seen: Observed, origin: Origin) -> bool:
    """Whether it may be a call that an open circuit did not make: many of these follow from few failures."""
    return not origin.silent and any(origin.place.service == caller for caller, _ in refusing(seen))


def origins(all_visits: Sequence[Visit], known: Mapping[str, str]) -> Iterator[tuple[Origin, Visit]]:
    """Each failed span below which nothing failed, with the place that is to blame."""
    for visit in all_visits:
        span = visit.span
        if not _server_fault(span) or any(_server_fault(child) for child in visit.tree.children(span)):
            continue
        if span.kind == "client" and not visit.place.statement:
            yield _unanswered(visit, known), visit
        else:
            yield Origin(visit.place, _error(span), False), visit


def _server_fault(span: Span) -> bool:
    """A failed span, but for a call whose answer was that the caller is wrong."""
    status = str(span.attributes.get("http.response.status_code", ""))
    return span.failed and not (span.kind == "client" and status.startswith("4"))


def _unanswered(visit: Visit, known: Mapping[str, str]) -> Origin:
    """A call that failed though nothing below it did: the one who was called is the place."""
    status = visit.span.attributes.get("http.response.status_code")
    children = [child for child in visit.tree.children(visit.span) if child.service != visit.span.service]
    if children:
        place = Place(children[0].service, children[0].operation)
    else:
        place = Place(known.get(visit.place.peer, visit.place.peer), "")
    return Origin(place, _error(visit.span), status is None)


def _error(span: Span) -> str:
    if span.exceptions:
        attributes = span.exceptions[0].attributes
        return str(attributes.get("exception.type", "")).rsplit(".", 1)[-1]
    kind = str(
        span.attributes.get("error.type") or span.attributes.get("http.response.status_code") or "error"
    )
    return kind.rsplit(".", 1)[-1]


def _failing_cause(
    seen: Observed,
    found: Traced,
    origin: Origin,
    bad: list[Visit],
    places: Mapping[Place, list[Visit]],
    share: float,
) -> Cause:
    ids = {visit.span.span_id for visit in bad}
    here = {visit.place for visit in bad}
    others = [visit for place in here for visit in places[place] if visit.span.span_id not in ids]
    good = [visit for visit in others if not _server_fault(visit.span)]
    scope, figures = scope_of(bad, good)
    only = f", where {scope[0]}" if scope else ""
    where = title(origin.place, found.known)
    if origin.silent:
        summary = f"{origin.place.service} does not answer ({origin.error}){only}"
    else:
        summary = f"{origin.place.service} fails: {where} ends in {origin.error}{only}"
    mostly = len(bad) > len(good)
    message = _message(bad[-1].span)
    result = f"{len(bad)} failures begin there, of {len(bad) + len(good)} times{_rest(figures)}"
    return Cause(
        "unanswered" if origin.silent else "failing",
        origin.place.service,
        origin.place.operation,
        summary,
        STOPPED if origin.silent and mostly else HARM,
        share,
        since=min(visit.span.start for visit in bad) / 1e6,
        until=over(bad, others, seen.end),
        scope=scope,
        details={
            **_names(origin.place),
            "error": origin.error,
            **message,
            **figures,
        },
        evidence=(evidence.trace(seen, bad[-1].trace, result),),
    )


def _message(span: Span) -> dict[str, str]:
    texts = [str(event.attributes.get("exception.message") or "") for event in span.exceptions]
    text = next((text for text in [*texts, span.status_message] if text), "")
    return {"message": text[:300]} if text else {}


def _names(place: Place) -> dict[str, str]:
    named = {
        "operation": place.operation,
        "statement": " ".join(place.statement.split())[:300],
        "peer": place.peer,
    }
    return {name: value for name, value in named.items() if value}


def _rest(figures: Mapping[str, str]) -> str:
    return f"; {figures['scope']}" if "scope" in figures else ""
