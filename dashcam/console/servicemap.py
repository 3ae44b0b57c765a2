"""Who calls whom: the edges that traces show, laid out in columns from the callers to the called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dashcam.sources import Span, Trace

NODE_WIDTH, NODE_HEIGHT = 170, 44
LABEL = 18.0
"""How many letters of middling width fit into a node."""
GAP_X, GAP_Y = 190, 34
MOST_NODES = 40
ABREAST = 6
"""Nodes side by side of those that have no calls."""


@dataclass
class Edge:
    """Calls from one node to another: how many, how many failed, and their durations in microseconds."""

    caller: str
    called: str
    calls: int = 0
    failed: int = 0
    durations: list[int] = field(default_factory=list)

    @property
    def error_ratio(self) -> float:
        return self.failed / self.calls if self.calls else 0.0

    @property
    def p95(self) -> int:
        """The duration, in microseconds, that 95% of the calls stay below."""
        ordered = sorted(self.durations)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))] if ordered else 0


@dataclass(frozen=True)
class Place:
    """A node at its place; `store` is true for a database or another peer that sends no spans."""

    name: str
    x: float
    y: float
    store: bool


@dataclass(frozen=True)
class PlacedEdge:
    """An edge as a curve, with the end of its label and its rate where it is known."""

    edge: Edge
    path: str
    x: float
    y: float
    rate: float | None


@dataclass(frozen=True)
class ServiceMap:
    """The drawing: its size, nodes and edges; `left_out` nodes did not fit."""

    width: float
    height: float
    nodes: Sequence[Place]
    edges: Sequence[PlacedEdge]
    traces: int
    left_out: int


def edges_of(traces: Iterable[Trace]) -> list[Edge]:
    """The calls between services, and to the stores that clients name, in these traces."""
    found: dict[tuple[str, str], Edge] = {}

    def add(caller: str, called: str, span: Span, failed: bool) -> None:
        edge = found.setdefault((caller, called), Edge(caller, called))
        edge.calls += 1
        edge.failed += failed
        edge.durations.append(span.duration)

    for trace in traces:
        for span in trace.spans:
            parent = trace.by_id.get(span.parent_id or "")
            if parent is not None and parent.service != span.service:
                add(parent.service, span.service, parent if parent.kind == "client" else span, span.failed)
            elif span.kind == "client" and (store := store_of(span)):
                add(span.service, store, span, span.failed)
    return sorted(found.values(), key=lambda edge: (edge.caller, edge.called))


def store_of(span: Span) -> str:
    """The database or queue that a client span names; empty where it calls a service."""
    system = span.attributes.get("db.system.name") or span.attributes.get("db.system")
    system = system or span.attributes.get("messaging.system")
    if not system:
        return ""
    # A store is drawn apart from a service that happens to have its name.
    return f"{span.service}'s {system}"


def draw(
    traces: Sequence[Trace], services: Sequence[str], rates: Mapping[tuple[str, str], float]
) -> ServiceMap:
    """Place every service and store; `rates` are the calls a second by (caller, called) where known.

    Where not all have room, those who come first in `services` do, and then those who are called most.
    """
    edges = edges_of(traces)
    known = set(services) | {service for trace in traces for service in trace.services}
    names = known | {edge.called for edge in edges}
    kept = set(sorted(names, key=_importance(edges, services))[:MOST_NODES])
    edges = [edge for edge in edges if edge.caller in kept and edge.called in kept]
    joined = {name for edge in edges for name in (edge.caller, edge.called)}
    placed = _places(_columns(sorted(kept & joined), edges), known)
    alone = _rows(sorted(kept - joined), max((place.y for place in placed), default=-NODE_HEIGHT), known)
    places = {place.name: place for place in (*placed, *alone)}
    height = max((place.y for place in places.values()), default=0) + NODE_HEIGHT + 12
    width = max((place.x for place in places.values()), default=-NODE_WIDTH) + NODE_WIDTH + 12
    return ServiceMap(
        width=width,
        height=height,
        nodes=list(places.values()),
        edges=_curves(edges, places, rates),
        traces=len(traces),
        left_out=len(names) - len(kept),
    )


def _importance(edges: Sequence[Edge], services: Sequence[str]) -> Callable[[str], tuple[int, int, str]]:
    calls: Counter[str] = Counter()
    for edge in edges:
        calls[edge.caller] += edge.calls
        calls[edge.called] += edge.calls
    places = {name: place for place, name in enumerate(services)}
    return lambda name: (places.get(name, len(places)), -calls[name], name)


def _columns(names: Sequence[str], edges: Sequence[Edge]) -> list[list[str]]:
    """Each node one column right of its farthest caller; rings are cut by a bound on the rounds."""
    rank = dict.fromkeys(names, 0)
    for _ in names:
        moved = False
        for edge in edges:
            wanted = rank[edge.caller] + 1
            if rank[edge.called] < wanted < len(names) and edge.caller != edge.called:
                rank[edge.called] = wanted
                moved = True
        if not moved:
            break
    used = sorted(set(rank.values()))
    return [[name for name in names if rank[name] == column] for column in used]


def _places(columns: Sequence[Sequence[str]], known: set[str]) -> list[Place]:
    tallest = max((len(column) for column in columns), default=0)
    found = []
    for number, column in enumerate(columns):
        top = 12 + (tallest - len(column)) * (NODE_HEIGHT + GAP_Y) / 2
        for row, name in enumerate(column):
            x = 12 + number * (NODE_WIDTH + GAP_X)
            found.append(Place(name, x, top + row * (NODE_HEIGHT + GAP_Y), name not in known))
    return found


def _rows(names: Sequence[str], below: float, known: set[str]) -> list[Place]:
    """Those that call nobody and are called by nobody, side by side under the others."""
    top = below + NODE_HEIGHT + GAP_Y
    return [
        Place(
            name,
            12 + (number % ABREAST) * (NODE_WIDTH + 24),
            top + number // ABREAST * (NODE_HEIGHT + 16),
            name not in known,
        )
        for number, name in enumerate(names)
    ]


def _curves(
    edges: Sequence[Edge], places: Mapping[str, Place], rates: Mapping[tuple[str, str], float]
) -> list[PlacedEdge]:
    """Each edge with its label where it ends; labels of edges that end at the same node are stacked."""
    found, ending = [], dict.fromkeys(places, 0)
    for edge in edges:
        start, end = places[edge.caller], places[edge.called]
        x1, y1 = start.x + NODE_WIDTH, start.y + NODE_HEIGHT / 2
        x2, y2 = end.x - 6, end.y + NODE_HEIGHT / 2
        bend = max(40.0, abs(x2 - x1) / 3)
        path = f"M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 - 2 * bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
        # Beside the curve, not on it: below an edge that comes from above.
        lines = 2 if edge.failed else 1
        beside = y2 + 5 + 13 * lines if y2 > y1 else y2 - 7
        label_y = beside - 28 * ending[edge.called]
        ending[edge.called] += 1
        found.append(PlacedEdge(edge, path, x2 - 10, label_y, rates.get((edge.caller, edge.called))))
    return found
