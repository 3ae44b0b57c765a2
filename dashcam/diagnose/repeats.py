"""How often a service asks its database or another service for each request that it serves, as traces tell.

Requests are compared with those of the same operation that ended alike: where other requests come than
before, or such as were refused or failed before are answered, nothing is asked more often. Metrics count
more, and know nothing of operations: what they tell is held against traces.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean

from dashcam.diagnose import evidence
from dashcam.diagnose.findings import WASTE, Cause
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.ongoing import over
from dashcam.diagnose.places import Visit
from dashcam.diagnose.served import Served
from dashcam.diagnose.significance import FEWEST, LIKELY, Change, by_group, shift
from dashcam.diagnose.traced import Traced

MORE, LEAST = 1.6, 0.7
"""From how many times the usual, plus how many, on a request asks more often."""
KNOWN = 10
"""Requests of one operation on each side of a moment from which on they speak against what metrics tell."""
STEADY = 1.2
"""Up to how many times the usual an operation asks as often as before."""

Asked = tuple[str, str]
"""The kind of cause, and the name of what is asked: a statement, or a service."""


@dataclass(frozen=True)
class _Group:
    """Requests of one operation that ended alike, by time, and how often each asked for one thing."""

    service: str
    operation: str
    asked: Asked
    requests: Sequence[Served]
    counts: Sequence[int]


def joined(seen: Observed, found: Traced, counted: Sequence[Cause]) -> list[Cause]:
    """What traces tell of statements and calls, with what metrics `counted` of all kinds.

    Where both tell the same, it is one cause with the evidence of both. What metrics tell alone stands only
    where no operation is known to ask as often as before.
    """
    groups = list(_groups(found))
    told = {(one.kind, one.service, one.subject): one for one in _more(seen, groups)}
    causes = []
    for cause in counted:
        other = told.pop((cause.kind, cause.service, cause.subject), None)
        if other is not None:
            shown = (*cause.evidence, *other.evidence)
            causes.append(
                replace(cause, evidence=shown, traces=other.traces, chance=min(cause.chance, other.chance))
            )
        elif not _steady(groups, cause):
            causes.append(cause)
    return [*causes, *told.values()]


def _groups(found: Traced) -> Iterator[_Group]:
    alike: dict[tuple[str, str, str], list[Served]] = {}
    for request in found.requests:
        alike.setdefault((request.service, request.operation, _end(request)), []).append(request)
    for (service, operation, _), here in alike.items():
        counts = [_counts(request, found.known) for request in here]
        for asked in dict.fromkeys(name for each in counts for name in each):
            yield _Group(service, operation, asked, here, [each[asked] for each in counts])


def _end(request: Served) -> str:
    """How a request ended: the class of its status, and whether it failed."""
    span = request.visits[0].span
    return f"{str(span.attributes.get('http.response.status_code', ''))[:1]} {span.failed}"


def _counts(request: Served, known: Mapping[str, str]) -> Counter[Asked]:
    return Counter(asked for visit in request.visits if (asked := _asked(visit, known)))


def _asked(visit: Visit, known: Mapping[str, str]) -> Asked | None:
    """What a span asks, if it is a call of its own."""
    if visit.span.kind != "client":
        return None
    if visit.place.statement or "db.system.name" in visit.span.attributes:
        return "statements", visit.place.operation
    below = next((c.service for c in visit.tree.children(visit.span) if c.service != visit.span.service), "")
    callee = below or known.get(visit.place.peer, visit.place.peer)
    return ("calls", callee) if callee else None


def _more(seen: Observed, groups: Sequence[_Group]) -> list[Cause]:
    found: dict[tuple[str, Asked], tuple[_Group, Change]] = {}
    for group in groups:
        change = _grown(group, len(groups))
        late = group.requests[-FEWEST:]
        if change is None or late[0].start < seen.start * 1e6:
            continue
        place = group.service, group.asked
        if place not in found or change.chance < found[place][1].chance:
            found[place] = group, change
    return [_cause(seen, group, change, len(groups)) for group, change in found.values()]


def _grown(group: _Group, tried: int) -> Change | None:
    if len(group.counts) < 2 * FEWEST or len(set(group.counts)) < 2:
        return None
    change = shift(group.counts)
    if change is None:
        return None
    before, since = group.counts[: change.index], group.counts[change.index :]
    if mean(since) < MORE * mean(before) + LEAST:
        return None
    limit = sorted(group.counts)[change.index - 1]
    change = by_group(change, [n > limit for n in group.counts], [one.trace_id for one in group.requests])
    return change if change.chance * tried <= LIKELY else None


def _cause(seen: Observed, group: _Group, change: Change, tried: int) -> Cause:
    before, since = mean(group.counts[: change.index]), mean(group.counts[change.index :])
    pairs = list(zip(group.requests, group.counts, strict=True))[change.index :]
    bad = [request for request, count in pairs if count > before] or [request for request, _ in pairs]
    good = [request for request, count in pairs if count <= before]
    kind, name = group.asked
    what = f"{since:.1f} times {name} for each {group.operation}, {before:.1f} before"
    does = "asks its database more often" if kind == "statements" else f"calls {name} more often"
    worst = max(pairs, key=lambda pair: pair[1])[0]
    return Cause(
        kind,
        group.service,
        name,
        f"{group.service} {does}: {what}",
        WASTE,
        1.0,
        since=bad[0].start / 1e6,
        until=over([one.visits[0] for one in bad], [one.visits[0] for one in good], seen.end),
        details={"operation": group.operation, "statement" if kind == "statements" else "callee": name},
        evidence=(evidence.trace(seen, worst.visits[0].trace, what),),
        chance=change.chance * tried,
        traces=frozenset(one.trace_id for one in bad),
    )


def _steady(groups: Sequence[_Group], cause: Cause) -> bool:
    """Whether every operation that asks for this is known to do so as often as before `cause` began."""
    known = False
    for group in groups:
        if (group.service, group.asked) != (cause.service, (cause.kind, cause.subject)):
            continue
        sides: tuple[list[int], list[int]] = [], []
        for request, count in zip(group.requests, group.counts, strict=True):
            sides[request.start >= (cause.since or 0.0) * 1e6].append(count)
        if min(map(len, sides)) < KNOWN:
            continue
        known = True
        if mean(sides[1]) > STEADY * mean(sides[0]):
            return False
    return known
