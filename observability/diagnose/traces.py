"""Causes that traces show: places that became slow, places where failures begin, broken traces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

from observability.diagnose import words
from observability.diagnose.contrast import scope_of
from observability.diagnose.model import HARM, STOPPED, WASTE, Cause, Evidence
from observability.diagnose.observe import Observed
from observability.diagnose.places import Place, Visit, by_place, owners, title, visits
from observability.sources import Span

SLOWER, EXCESS = 3.0, 0.1
"""A visit is slow from SLOWER times the usual 90th percentile on, and from EXCESS seconds above it."""
LEAST_SLOW, SLOW_SHARE = 4, 0.03
LEAST_FAILED, FAILED_SHARE = 3, 0.02
MATTERS = 0.15
"""The share of all lost time, or of all failures, that a place must account for."""
LEAST_ROOTS, BROKEN = 8, 0.3


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
    return [*slow(seen, found), *failing(seen, found), *broken(seen, found), *skewed(seen, found)]


# -- slow ------------------------------------------------------------------------------------------


def slow(seen: Observed, found: Traced) -> list[Cause]:
    """Places whose own time on the critical path has grown, by the time they cost."""
    usual, now = by_place(found.before), by_place(found.during)
    lost: dict[Place, tuple[float, list[Visit], list[Visit]]] = {}
    for place, here in now.items():
        earlier = [visit.waited for visit in usual.get(place, ())]
        limit = _limit(earlier)
        late = [visit for visit in here if visit.waited > limit and not _gave_up(visit)]
        if len(late) < LEAST_SLOW or len(late) < SLOW_SHARE * len(here):
            continue
        if sum(value > limit for value in earlier) * len(here) * 2 > len(late) * max(1, len(earlier)):
            continue
        cost = sum(visit.waited for visit in late) - len(late) * (median(earlier) if earlier else 0.0)
        lost[place] = cost, late, [visit for visit in here if visit.waited <= limit]
    total = sum(cost for cost, _, _ in lost.values())
    return [
        _slow_cause(seen, found, place, late, fast, usual.get(place, ()), cost / total)
        for place, (cost, late, fast) in lost.items()
        if cost >= MATTERS * total
    ]


def _raised(found: Traced, late: Sequence[Visit]) -> tuple[list[Visit], list[Visit]]:
    """The parents of `late`, and their likes without: where every visit is late, asking why it happens."""
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


def _gave_up(visit: Visit) -> bool:
    """A call that ended in no answer has waited for somebody else."""
    return visit.span.kind == "client" and visit.span.failed and not visit.place.statement


def _slow_cause(
    seen: Observed,
    found: Traced,
    place: Place,
    late: list[Visit],
    fast: list[Visit],
    usual: Sequence[Visit],
    share: float,
) -> Cause:
    scope, figures = scope_of(late, fast) if fast else scope_of(*_raised(found, late))
    before = median(visit.waited for visit in usual) if usual else 0.0
    during = mean(visit.waited for visit in late)
    worst = max(late, key=lambda visit: visit.waited)
    where = title(place, found.known)
    result = (
        f"{len(late)} of {len(late) + len(fast)} times {where} of {place.service} itself took "
        f"{words.seconds(during)}; before it was {words.seconds(before)}"
    )
    only = f", where {scope[0]}" if scope else ""
    return Cause(
        "slow",
        place.service,
        place.operation,
        f"{place.service} is slow: {where} takes {words.seconds(during)} instead of "
        f"{words.seconds(before)}{only}",
        HARM,
        share,
        since=min(visit.span.start for visit in late) / 1e6,
        scope=scope,
        details={**_names(place), **figures},
        evidence=(words.trace(seen, worst.trace, result + _rest(figures)),),
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
    total = sum(len(each) for each in now.values())
    places = by_place(found.during)
    return [
        _failing_cause(seen, found, origin, bad, places, len(bad) / total)
        for origin, bad in now.items()
        if len(bad) >= LEAST_FAILED
        and len(bad) > 3 * ratio * usual[origin]
        and len(bad) >= min(MATTERS * total, 10)
    ]


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
    good = [visit for place in here for visit in places[place] if visit.span.span_id not in ids]
    good = [visit for visit in good if not _server_fault(visit.span)]
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
        scope=scope,
        details={
            **_names(origin.place),
            "error": origin.error,
            **message,
            **figures,
        },
        evidence=(words.trace(seen, bad[-1].trace, result),),
    )


def _message(span: Span) -> dict[str, str]:
    texts = [str(event.attributes.get("exception.message") or "") for event in span.exceptions]
    text = next((text for text in [*texts, span.status_message] if text), "")
    return {"message": text[:300]} if text else {}


# -- broken and skewed -----------------------------------------------------------------------------


def broken(seen: Observed, found: Traced) -> list[Cause]:
    """Callers whose calls used to go on in the callee's trace, and now begin a trace of their own."""
    causes = []
    was, now = _continued(found.before, found.known), _continued(found.during, found.known)
    for edge, (whole, cut, sample) in now.items():
        earlier = was.get(edge)
        if earlier is None or whole + cut < LEAST_ROOTS or earlier[0] + earlier[1] < LEAST_ROOTS:
            continue
        share, usual = cut / (whole + cut), earlier[1] / (earlier[0] + earlier[1])
        strangers = _new_roots(found, edge[1])
        if share < usual + BROKEN or not strangers or sample is None:
            continue
        result = (
            f"{cut} of {whole + cut} answered calls have no span of {edge[1]} below them "
            f"({usual:.0%} before), while {len(strangers)} traces begin in {edge[1]}"
        )
        causes.append(
            Cause(
                "cut traces",
                edge[1],
                f"{edge[0]} to {edge[1]}",
                f"traces are cut between {edge[0]} and {edge[1]}: the context of a call does not arrive",
                WASTE,
                share,
                since=sample.span.start / 1e6,
                details={"caller": edge[0], "callee": edge[1]},
                evidence=(
                    words.trace(seen, sample.trace, result),
                    words.trace(seen, strangers[-1].trace, f"this one begins in {edge[1]}"),
                ),
            )
        )
    return causes


def _continued(
    all_visits: Sequence[Visit], known: Mapping[str, str]
) -> dict[tuple[str, str], tuple[int, int, Visit | None]]:
    """For each caller and callee: answered calls with and without the callee's span, the first without."""
    counts: dict[tuple[str, str], tuple[int, int, Visit | None]] = {}
    for visit in all_visits:
        callee = known.get(visit.place.peer)
        if visit.span.kind != "client" or callee is None:
            continue
        if visit.span.attributes.get("http.response.status_code") is None:
            continue
        whole, cut, sample = counts.get((visit.place.service, callee), (0, 0, None))
        if any(child.service == callee for child in visit.tree.children(visit.span)):
            whole += 1
        else:
            cut, sample = cut + 1, sample or visit
        counts[visit.place.service, callee] = whole, cut, sample
    return counts


def _new_roots(found: Traced, service: str) -> list[Visit]:
    """Traces that begin in `service` for clients for which none began there before."""

    def roots(every: Sequence[Visit]) -> list[Visit]:
        return [v for v in every if v.span.service == service and v.trace.root is v.span]

    def client(visit: Visit) -> str:
        return str(visit.span.attributes.get("user_agent.original", ""))

    usual = {client(visit) for visit in roots(found.before)}
    return [visit for visit in roots(found.during) if client(visit) not in usual]


def skewed(seen: Observed, found: Traced) -> list[Cause]:
    """Services whose clock differs from their callers', as Jaeger's own adjustment says."""
    causes = []
    for service in sorted({visit.place.service for visit in found.during}):
        moved = [v for v in found.during if v.place.service == service and _moved(v.span)]
        if len(moved) < LEAST_ROOTS:
            continue
        evidence: tuple[Evidence, ...] = (words.trace(seen, moved[-1].trace, moved[-1].span.warnings[0]),)
        causes.append(
            Cause(
                "clock",
                service,
                str(moved[-1].span.resource.get("host.name", "")),
                f"the clock of {service} differs from its callers'",
                WASTE,
                len(moved) / len(found.during),
                evidence=evidence,
            )
        )
    return causes


def _moved(span: Span) -> bool:
    return any("clock skew" in warning.lower() for warning in span.warnings)


def _names(place: Place) -> dict[str, str]:
    named = {
        "operation": place.operation,
        "statement": " ".join(place.statement.split())[:300],
        "peer": place.peer,
    }
    return {name: value for name, value in named.items() if value}


def _rest(figures: Mapping[str, str]) -> str:
    return f"; {figures['scope']}" if "scope" in figures else ""
