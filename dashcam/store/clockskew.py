"""Marking spans whose host's clock seems to differ from its parent's.

A span on another host than its parent (or on an unknown one) that does not lie within it would have
to be moved. Jaeger v2 allows no movement by default, so neither does this: the span keeps its times
and gets the warning that Jaeger gives it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from dashcam.store import values
from dashcam.store.span_warnings import add_warning


@dataclass
class _Node:
    span: Span
    host: str
    children: list[_Node] = field(default_factory=list)


def mark_skew(data: TracesData) -> None:
    """Add the warnings to the spans of a trace."""
    nodes = _nodes(data)
    roots = []
    for node in nodes.values():
        parent = nodes.get(node.span.parent_span_id)
        if not any(node.span.parent_span_id):
            roots.append(node)
        elif parent is not None:
            parent.children.append(node)
        else:
            add_warning(
                node.span,
                f"parent span ID={node.span.parent_span_id.hex()} is not in the trace;"
                " skipping clock skew adjustment",
            )
            roots.append(node)
    for root in roots:
        _mark(root)


def host_key(resource: Resource) -> str:
    """What tells the host of a resource: host.id, host.ip or host.name; empty where none is known."""
    for key in ("host.id", "host.ip", "host.name"):
        value = values.find(resource.attributes, key)
        if value is None:
            continue
        if key == "host.ip" and value.WhichOneof("value") == "array_value":
            addresses = value.array_value.values
            return values.text(addresses[0]) if addresses else ""
        return value.string_value
    return ""


def skew(child: Span, parent: Span) -> int:
    """Nanoseconds to move a child by, so that it lies within its parent; 0 where it does already."""
    start, end = child.start_time_unix_nano, child.end_time_unix_nano
    outer_start, outer_end = parent.start_time_unix_nano, parent.end_time_unix_nano
    if end - start > outer_end - outer_start:
        # It outlives its parent, so it is asynchronous: all that can be wrong is a start before the parent's.
        return max(0, outer_start - start)
    if outer_start <= start and end <= outer_end:
        return 0
    latency = ((outer_end - outer_start) - (end - start)) // 2
    return outer_start + latency - start


def go_duration(nanoseconds: int) -> str:
    """Nanoseconds as Go prints a duration: `1.5ms`, `2µs`, `1m2.5s`."""
    sign, left = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if left == 0:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if left < size * 1000:
            return f"{sign}{_decimal(left, size)}{unit}"
    hours, left = divmod(left, 3_600_000_000_000)
    minutes, left = divmod(left, 60_000_000_000)
    text = f"{hours}h" if hours else ""
    if hours or minutes:
        text += f"{minutes}m"
    return f"{sign}{text}{_decimal(left, 1_000_000_000)}s"


def _decimal(number: int, unit: int) -> str:
    whole, rest = divmod(number, unit)
    digits = len(str(unit)) - 1
    fraction = f"{rest:0{digits}d}".rstrip("0") if rest else ""
    return f"{whole}.{fraction}" if fraction else str(whole)


def _nodes(data: TracesData) -> dict[bytes, _Node]:
    nodes: dict[bytes, _Node] = {}
    for resource_spans in data.resource_spans:
        host = host_key(resource_spans.resource)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                if span.span_id in nodes:
                    add_warning(span, "duplicate span IDs; skipping clock skew adjustment")
                else:
                    nodes[span.span_id] = _Node(span, host)
    return nodes


def _mark(root: _Node) -> None:
    """Walk down from a root; a span on its parent's host shares the parent's skew."""
    todo: list[tuple[_Node, _Node | None, str, int]] = [(root, None, root.host, 0)]
    while todo:
        node, parent, host, delta = todo.pop()
        if parent is not None and (node.host != host or not node.host):
            host, delta = node.host, skew(node.span, parent.span)
        if delta:
            add_warning(
                node.span,
                f"clock skew adjustment disabled; not applying calculated delta of {go_duration(delta)}",
            )
        todo += [(child, node, host, delta) for child in node.children]
