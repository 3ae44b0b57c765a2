"""What Jaeger does to a trace before it shows it, in Jaeger's order; `raw=true` leaves it out.

1. A server span that shares its id with a client span (Zipkin's way) gets an id of its own.
2. Attributes are sorted by key, events by name.
3. Spans received twice are shown once.
4. Spans whose clock seems skewed are marked. Jaeger v2 moves nothing unless it is told to.
5. The numbers in `ip` and `peer.ipv4` become dotted addresses.
6. What the SDK says of itself on a span moves to the resource.
7. Links without a trace id are removed.
"""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from dashcam.store import values
from dashcam.store.clockskew import mark_skew
from dashcam.store.span_warnings import add_warning

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

_SERVER, _CLIENT = 2, 3

_LIBRARY = frozenset(
    {
        "telemetry.sdk.language",
        "telemetry.sdk.name",
        "telemetry.sdk.version",
        "telemetry.distro.name",
        "telemetry.distro.version",
    }
)


_ADDRESSES = frozenset({"ip", "peer.ipv4"})
_SPECIAL = _LIBRARY | _ADDRESSES


def adjust(data: TracesData) -> None:
    """Adjust a trace in place."""
    ids = [span.span_id for _, span in spans(data)]
    clash = len(set(ids)) < len(ids)
    if clash:
        _separate_shared_ids(data)
    special = _sort(data)
    if clash:
        _drop_duplicates(data)
    mark_skew(data)
    for resource, span in special:
        _name_addresses(span.attributes)
        _move_library(span, resource)
    for resource_spans in data.resource_spans:
        _name_addresses(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                if span.links:
                    _drop_empty_links(span)


def spans(data: TracesData) -> Iterator[tuple[Resource, Span]]:
    """Every span with its resource."""
    for resource_spans in data.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield resource_spans.resource, span


def _separate_shared_ids(data: TracesData) -> None:
    by_id: dict[bytes, list[Span]] = {}
    for _, span in spans(data):
        by_id.setdefault(span.span_id, []).append(span)
    renamed: dict[bytes, bytes] = {}
    number = 0
    for _, span in spans(data):
        if span.kind != _SERVER or all(other.kind != _CLIENT for other in by_id.get(span.span_id, ())):
            continue
        number += 1
        while number.to_bytes(8, "big") in by_id:
            number += 1
        renamed[span.span_id] = number.to_bytes(8, "big")
        span.parent_span_id, span.span_id = span.span_id, renamed[span.span_id]
    for _, span in spans(data):
        new = renamed.get(span.parent_span_id)
        if new is not None and span.span_id != new:
            span.parent_span_id = new


def _sort(data: TracesData) -> list[tuple[Resource, Span]]:
    """Sort, and answer the spans that have an attribute which a later step looks at."""
    special: list[tuple[Resource, Span]] = []
    for resource_spans in data.resource_spans:
        _sort_attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            _sort_attributes(scope_spans.scope.attributes)
            for span in scope_spans.spans:
                if not _SPECIAL.isdisjoint(_sort_attributes(span.attributes)):
                    special.append((resource_spans.resource, span))
                if span.events:
                    span.events.sort(key=operator.attrgetter("name"))
                for event in span.events:
                    _sort_attributes(event.attributes)
                for link in span.links:
                    _sort_attributes(link.attributes)
    return special


def _sort_attributes(attributes: RepeatedCompositeFieldContainer[KeyValue]) -> list[str]:
    """By key; of several with one key the last stays, as in the map that Jaeger has. Answers the keys."""
    keys = [item.key for item in attributes]
    if all(map(operator.lt, keys, keys[1:])):
        return keys
    if len(set(keys)) < len(keys):
        last = {item.key: item for item in attributes}
        kept = [KeyValue.FromString(item.SerializeToString()) for item in last.values()]
        del attributes[:]
        attributes.extend(kept)
    attributes.sort(key=operator.attrgetter("key"))
    return keys


def _drop_duplicates(data: TracesData) -> None:
    seen: set[tuple[bytes, bytes, bytes]] = set()
    for resource_spans in data.resource_spans:
        resource = Resource(attributes=resource_spans.resource.attributes).SerializeToString()
        for scope_spans in resource_spans.scope_spans:
            scope = Resource(attributes=scope_spans.scope.attributes).SerializeToString()
            twice = []
            for i, span in enumerate(scope_spans.spans):
                key = (resource, scope, span.SerializeToString())
                if key in seen:
                    twice.append(i)
                seen.add(key)
            for i in reversed(twice):
                del scope_spans.spans[i]


def _name_addresses(attributes: RepeatedCompositeFieldContainer[KeyValue]) -> None:
    for item in attributes:
        if item.key in _ADDRESSES:
            kind = item.value.WhichOneof("value")
            if kind in ("int_value", "double_value"):
                number = int(getattr(item.value, kind)) & 0xFFFFFFFF
                item.value.CopyFrom(AnyValue(string_value=str(ipaddress.IPv4Address(number))))


def _move_library(span: Span, resource: Resource) -> None:
    for i in reversed(range(len(span.attributes))):
        item = span.attributes[i]
        if item.key not in _LIBRARY:
            continue
        existing = values.find(resource.attributes, item.key)
        if existing is not None and existing != item.value:
            add_warning(span, f"conflicting values between Span and Resource for attribute {item.key}")
            continue
        if existing is None:
            resource.attributes.add(key=item.key).value.CopyFrom(item.value)
        del span.attributes[i]


def _drop_empty_links(span: Span) -> None:
    for i in reversed(range(len(span.links))):
        if not any(span.links[i].trace_id):
            del span.links[i]
            add_warning(span, "Invalid span link removed")
