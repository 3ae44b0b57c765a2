"""Who calls whom: the edges that traces show, laid out in columns from the callers to the called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dashcam.sources import Span, Trace

NODE_WIDTH, NODE_HEIGHT = 150, 44
GAP_X, GAP_Y = 190, 34
MOST_NODES = 40


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
    traces: Sequence[Trace], services: Iterable[str], rates: Mapping[tuple[str, str], float]
) -> ServiceMap:
    """Place every service and store; `rates` are the calls a second by (caller, called) where known."""
    edges = edges_of(traces)
    known = set(services) | {service for trace in traces for service in trace.services}
    names = sorted(known | {edge.called for edge in edges})
    kept = set(names[:MOST_NODES])
    edges = [edge for edge in edges if edge.caller in kept and edge.called in kept]
    columns = _columns(sorted(kept), edges)
    places = {place.name: place for place in _places(columns, known)}
    height = max((place.y for place in places.values()), default=0) + NODE_HEIGHT + 12
    width = len(columns) * (NODE_WIDTH + GAP_X) - GAP_X + 24 if columns else 0
    return ServiceMap(
        width=width,
        height=height,
        nodes=list(places.values()),
        edges=_curves(edges, places, rates),
        traces=len(traces),
        left_out=len(names) - len(kept),
    )


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
