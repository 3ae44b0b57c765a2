"""Spans by place: which operation of which service, how long it kept its trace waiting, who was called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from dashcam.model.tree import Tree, critical_path
from dashcam.sources import Span, Trace


@dataclass(frozen=True)
class Place:
    """Where a span was: `statement` is a query's text, `peer` the host and port that a call went to."""

    service: str
    operation: str
    statement: str = ""
    peer: str = ""


@dataclass(frozen=True)
class Visit:
    """One span at its place, with the seconds for which its trace waited for nothing else.

    `way` is the part of them between the caller's span and this one, which both are needed to know: it
    belongs to the callee, or to what lies between.
    """

    place: Place
    span: Span
    trace: Trace
    tree: Tree
    waited: float
    way: float = 0.0


def peer(span: Span) -> str:
    """host:port that a client span called, empty where it does not say."""
    if address := span.attributes.get("url.full"):
        return urlsplit(str(address)).netloc
    if address := span.attributes.get("server.address"):
        port = span.attributes.get("server.port")
        return f"{address}:{port}" if port else str(address)
    return ""


def place(span: Span) -> Place:
    """The place of a span."""
    if span.kind != "client":
        return Place(span.service, span.operation)
    statement = str(span.attributes.get("db.query.text") or "")
    return Place(span.service, span.operation, statement, "" if statement else peer(span))


def visits(traces: Iterable[Trace]) -> list[Visit]:
    """Every span of the traces at its place."""
    return [visit for trace in traces for visit in _visits(trace)]


def _visits(trace: Trace) -> Iterator[Visit]:
    tree = Tree(trace)
    path = critical_path(trace, tree)
    own = {span_id: sum(end - start for start, end in path[span_id]) / 1e6 for span_id in path}
    way: dict[str, float] = {}
    for span in trace.spans:
        answering = next((c for c in tree.children(span) if c.service != span.service), None)
        if _may_call(span) and answering and _calls_only(span, tree):
            way[answering.span_id] = own.pop(span.span_id, 0.0)
    for span in trace.spans:
        waited = own.get(span.span_id, 0.0) + way.get(span.span_id, 0.0)
        yield Visit(place(span), span, trace, tree, waited, way.get(span.span_id, 0.0))


def _may_call(span: Span) -> bool:
    """Whether it is a call, or is of a kind that its recorder did not say."""
    return span.kind == "client" or "span.kind" not in span.attributes


def _calls_only(span: Span, tree: Tree) -> bool:
    """Whether a span is nothing but a call of another service: what it waits for beside is on the way."""
    return all(child.service != span.service for child in tree.children(span))


def by_place(found: Sequence[Visit]) -> dict[Place, list[Visit]]:
    """The visits of each place."""
    groups: dict[Place, list[Visit]] = {}
    for visit in found:
        groups.setdefault(visit.place, []).append(visit)
    return groups


def owners(found: Iterable[Visit]) -> dict[str, str]:
    """Which service answers at which host:port, learned from calls that it answered within a trace."""
    known: dict[str, str] = {}
    for visit in found:
        if visit.span.kind == "client" and visit.place.peer:
            for child in visit.tree.children(visit.span):
                if child.service != visit.span.service:
                    known[visit.place.peer] = child.service
    return known


def callees(found: Iterable[Visit]) -> dict[str, set[str]]:
    """Which services each service calls, near or far."""
    direct: dict[str, set[str]] = {}
    for visit in found:
        for child in visit.tree.children(visit.span):
            if child.service != visit.span.service:
                direct.setdefault(visit.span.service, set()).add(child.service)
    return {service: _reached(service, direct) for service in direct}


def _reached(service: str, direct: Mapping[str, set[str]]) -> set[str]:
    """Every service that is on a way from this one."""
    reached: set[str] = set()
    ahead = set(direct[service])
    while ahead:
        near = ahead.pop()
        reached.add(near)
        ahead |= direct.get(near, set()) - reached
    return reached


def ancestors(trace: Trace, span: Span) -> Iterator[Span]:
    """The spans above `span`, nearest first."""
    seen = {span.span_id}
    current: Span | None = span
    while current is not None and current.parent_id in trace.by_id and current.parent_id not in seen:
        seen.add(current.parent_id or "")
        current = trace.by_id[current.parent_id or ""]
        yield current


def title(where: Place, known: Mapping[str, str]) -> str:
    """A place in evidence."""
    if where.statement:
        return f"the statement «{' '.join(where.statement.split())[:120]}»"
    if where.peer:
        return f"its call {where.operation} to {known.get(where.peer, where.peer)}"
    return where.operation
