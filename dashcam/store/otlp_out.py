"""OTLP traces as OTLP JSON: ids in hex, 64-bit integers as strings, enums as numbers, empty fields left out.

`resource`, `scope` and `status` are there even when empty, as in the JSON of the Collector's pdata.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from dashcam.store.values import json_number

Json = dict[str, Any]


def traces_json(traces: Iterable[TracesData]) -> list[Json]:
    """The `resourceSpans` of some traces, one after another."""
    return [_resource_spans(resource) for data in traces for resource in data.resource_spans]


def _resource_spans(resource: ResourceSpans) -> Json:
    return _compact(
        {
            "resource": _compact(
                {
                    "attributes": _attributes(resource.resource.attributes),
                    "droppedAttributesCount": resource.resource.dropped_attributes_count,
                }
            ),
            "scopeSpans": [_scope_spans(scope) for scope in resource.scope_spans],
            "schemaUrl": resource.schema_url,
        },
        keep=("resource",),
    )


def _scope_spans(scope: ScopeSpans) -> Json:
    return _compact(
        {
            "scope": _compact(
                {
                    "name": scope.scope.name,
                    "version": scope.scope.version,
                    "attributes": _attributes(scope.scope.attributes),
                    "droppedAttributesCount": scope.scope.dropped_attributes_count,
                }
            ),
            "spans": [_span(span) for span in scope.spans],
            "schemaUrl": scope.schema_url,
        },
        keep=("scope",),
    )


def _span(span: Span) -> Json:
    return _compact(
        {
            "traceId": span.trace_id.hex(),
            "spanId": span.span_id.hex(),
            "traceState": span.trace_state,
            "parentSpanId": span.parent_span_id.hex() if any(span.parent_span_id) else "",
            "flags": span.flags,
            "name": span.name,
            "kind": span.kind,
            "startTimeUnixNano": _nanos(span.start_time_unix_nano),
            "endTimeUnixNano": _nanos(span.end_time_unix_nano),
            "attributes": _attributes(span.attributes),
            "droppedAttributesCount": span.dropped_attributes_count,
            "events": [_event(event) for event in span.events],
            "droppedEventsCount": span.dropped_events_count,
            "links": [_link(link) for link in span.links],
            "droppedLinksCount": span.dropped_links_count,
            "status": _compact({"message": span.status.message, "code": span.status.code}),
        },
        keep=("status",),
    )


def _event(event: Span.Event) -> Json:
    return _compact(
        {
            "timeUnixNano": _nanos(event.time_unix_nano),
            "name": event.name,
            "attributes": _attributes(event.attributes),
            "droppedAttributesCount": event.dropped_attributes_count,
        }
    )


def _link(link: Span.Link) -> Json:
    return _compact(
        {
            "traceId": link.trace_id.hex(),
            "spanId": link.span_id.hex(),
            "traceState": link.trace_state,
            "attributes": _attributes(link.attributes),
            "droppedAttributesCount": link.dropped_attributes_count,
            "flags": link.flags,
        }
    )


def _attributes(attributes: Iterable[KeyValue]) -> list[Json]:
    return [{"key": item.key, "value": _value(item.value)} for item in attributes]


def _value(value: AnyValue) -> Json:
    match value.WhichOneof("value"):
        case "string_value":
            return {"stringValue": value.string_value}
        case "bool_value":
            return {"boolValue": value.bool_value}
        case "int_value":
            return {"intValue": str(value.int_value)}
        case "double_value":
            return {"doubleValue": json_number(value.double_value)}
        case "bytes_value":
            return {"bytesValue": base64.b64encode(value.bytes_value).decode()}
        case "array_value":
            return {"arrayValue": _compact({"values": [_value(item) for item in value.array_value.values]})}
        case "kvlist_value":
            return {"kvlistValue": _compact({"values": _attributes(value.kvlist_value.values)})}
    return {}


def _nanos(moment: int) -> str:
    return str(moment) if moment else ""


def _compact(fields: Json, keep: tuple[str, ...] = ()) -> Json:
    return {name: value for name, value in fields.items() if value or name in keep}
