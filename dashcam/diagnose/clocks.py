"""Hosts whose clocks differ: found by calls between hosts, and put right before traces are compared.

A call's two sides say when it happened, each by its own clock. The callee's span cannot lie outside the
caller's, so where it does, the two clocks differ by about the distance of their middles. One pair cannot
tell which of the two is wrong; several can: hosts that agree with each other are taken to be right, the
largest such group first, by how many instances it has.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from dashcam.diagnose import evidence
from dashcam.diagnose.findings import WASTE, Cause
from dashcam.diagnose.observe import Observed
from dashcam.sources import Span, Trace

LEAST = 5
"""Calls between two hosts that must have been seen."""
SHARE = 0.3
"""The share of them that must show a difference."""
FIRST = 20.0
"""Seconds after the beginning of the time in which a clock that was wrong all along has shown that it is."""
APART = 0.02
"""Seconds that a callee's span must lie outside of its caller's."""
_DELTA = re.compile(r"(?:delta of|adjusted by) (-?)((?:\d+(?:\.\d+)?(?:h|ms|m|µs|us|ns|s))+)\b(?!.*delta of)")
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|µs|us|ns|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class Clock:
    """A clock that is `ahead` by so many seconds, or behind where it is negative. `since` is Unix seconds."""

    host: str
    service: str
    ahead: float
    calls: int
    sample: Trace
    since: float
    warning: str = ""
    moved: bool = False
    """Whether the source of the traces has put the times right already."""


@dataclass
class _Pair:
    """Calls from one host to another: how far the callee's clock is ahead in each."""

    deltas: list[float]
    sample: Trace | None = None
    began: tuple[float, float] = (0.0, 0.0)
    warning: str = ""
    moved: bool = False


def host(span: Span) -> str:
    """What a span's clock belongs to."""
    known = span.resource
    return str(known.get("k8s.node.name") or known.get("host.name") or span.service)


def wrong(traces: Sequence[Trace]) -> list[Clock]:
    """The clocks that differ from those of most others, by the calls in these traces."""
    pairs: dict[tuple[str, str], _Pair] = defaultdict(lambda: _Pair([]))
    instances: dict[str, set[tuple[str, str]]] = defaultdict(set)
    services: dict[str, list[str]] = defaultdict(list)
    for trace in traces:
        for span in trace.spans:
            instances[host(span)].add((span.service, str(span.resource.get("service.instance.id", ""))))
            services[host(span)].append(span.service)
        for parent, child in _calls(trace):
            _add(pairs[host(parent), host(child)], trace, parent, child)
    known = {edge: _apart(pair.deltas) for edge, pair in pairs.items() if len(pair.deltas) >= LEAST}
    ahead = _offsets(known, {name: len(each) for name, each in instances.items()})
    found = []
    for name, offset in ahead.items():
        if abs(offset) < APART:
            continue
        shown = [pair for edge, pair in pairs.items() if name in edge and pair.sample]
        if not shown:
            continue
        pair = max(shown, key=lambda one: len(one.deltas))
        assert pair.sample is not None
        most = max(set(services[name]), key=services[name].count)
        since = pair.began[0] if offset > 0 else pair.began[1]  # by the clock that is right
        found.append(
            Clock(name, most, offset, len(pair.deltas), pair.sample, since, pair.warning, pair.moved)
        )
    return found


def _apart(deltas: Sequence[float]) -> float:
    """The difference that a share of the calls shows: a clock may have been set in the middle of the time."""
    shown = [delta for delta in deltas if delta]
    return median(shown) if len(shown) >= max(LEAST, SHARE * len(deltas)) else 0.0


def _calls(trace: Trace) -> Iterator[tuple[Span, Span]]:
    """Both sides of each call between two hosts."""
    for child in trace.spans:
        parent = trace.by_id.get(child.parent_id or "")
        if parent is not None and child.kind == "server" and host(parent) != host(child):
            yield parent, child


def _add(pair: _Pair, trace: Trace, parent: Span, child: Span) -> None:
    delta = _distance(parent, child)
    told = next((text for text in child.warnings if _DELTA.search(text)), "")
    if not delta and told:
        delta, pair.moved = -_told(told), pair.moved or "adjusted by" in told
    pair.deltas.append(delta)
    if delta and pair.sample is None:
        starts = sorted((parent.start / 1e6, child.start / 1e6))
        pair.sample, pair.began, pair.warning = trace, (starts[0], starts[1]), told


def _distance(parent: Span, child: Span) -> float:
    """Seconds that the callee's clock is ahead of the caller's; 0 where its span lies within."""
    margin = APART * 1e6
    if parent.start - margin <= child.start and child.end <= parent.end + margin:
        return 0.0
    if child.duration > parent.duration + margin:
        return 0.0  # it goes on after its caller has left: that is no clock
    return ((child.start + child.end) - (parent.start + parent.end)) / 2e6


def _told(warning: str) -> float:
    """Seconds in Jaeger's words: how far the span would have to be moved."""
    found = _DELTA.search(warning)
    if found is None:
        return 0.0
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(found[2]))
    return -seconds if found[1] else seconds


def _offsets(apart: Mapping[tuple[str, str], float], weights: Mapping[str, int]) -> dict[str, float]:
    """How far each host is ahead of the right ones, from how far each callee is ahead of its caller."""
    near: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for (caller, callee), delta in apart.items():
        near[caller].append((callee, delta))
        near[callee].append((caller, -delta))
    groups = sorted(_agreeing(near, weights), key=lambda group: -sum(weights.get(one, 1) for one in group))
    ahead: dict[str, float] = {}
    for group in groups:
        # Of each part of the graph, what is reached first is right: its largest group begins.
        todo = [(one, 0.0) for one in group if one not in ahead]
        while todo:
            name, offset = todo.pop()
            if name in ahead:
                continue
            ahead[name] = offset
            todo += [(other, offset + delta) for other, delta in near[name] if other not in ahead]
    return ahead


def _agreeing(near: Mapping[str, Sequence[tuple[str, float]]], every: Iterable[str]) -> list[set[str]]:
    """Groups of hosts whose calls show no difference."""
    groups: list[set[str]] = []
    seen: set[str] = set()
    # Callers before callees where nothing else decides: who only is called is the likelier to be wrong.
    for first in every:
        if first in seen:
            continue
        group, todo = set(), [first]
        while todo:
            name = todo.pop()
            if name not in group:
                group.add(name)
                todo += [other for other, delta in near.get(name, ()) if abs(delta) < APART]
        seen |= group
        groups.append(group)
    return groups


def put_right(seen: Observed) -> tuple[Observed, list[Cause]]:
    """`seen` with its spans at the times of the clocks that agree, and a cause for each that differs now."""
    usual, now = wrong(seen.before), wrong(seen.during)
    right = replace(seen, before=_moved(seen.before, usual), during=_moved(seen.during, now))
    # One that was wrong from the beginning is usual; one that came within the time is not.
    known = {clock.host for clock in usual if clock.since < seen.start + FIRST}
    return right, [_cause(seen, clock) for clock in now if clock.host not in known]


def _moved(traces: Sequence[Trace], clocks: Sequence[Clock]) -> Sequence[Trace]:
    ahead = {clock.host: clock.ahead for clock in clocks if not clock.moved}
    return [_moved_back(trace, ahead) for trace in traces] if ahead else traces


def _moved_back(trace: Trace, ahead: Mapping[str, float]) -> Trace:
    if not any(_distance(*call) for call in _calls(trace)):
        return trace  # all on one host, or from before the clock was wrong
    spans = [replace(span, start=span.start - int(ahead.get(host(span), 0.0) * 1e6)) for span in trace.spans]
    return replace(trace, spans=tuple(sorted(spans, key=lambda span: span.start)))


def _cause(seen: Observed, clock: Clock) -> Cause:
    way = "ahead" if clock.ahead > 0 else "behind"
    where = f"{clock.service}" + (f" on {clock.host}" if clock.host != clock.service else "")
    said = f"; {clock.warning}" if clock.warning else ""
    result = (
        f"in {clock.calls} calls between hosts the spans of {where} lie "
        f"{evidence.seconds(abs(clock.ahead))} {way} of what the other side says{said}"
    )
    return Cause(
        "clock",
        clock.service,
        clock.host,
        f"the clock of {where} is {evidence.seconds(abs(clock.ahead))} {way} of the others",
        WASTE,
        1.0,
        since=clock.since,
        details={"host": clock.host},
        evidence=(evidence.trace(seen, clock.sample, result),),
    )
