"""OTLP traces as Jaeger's legacy JSON.

The translation is that of the Collector's Jaeger translator, which Jaeger v2 uses: tags in the order
scope, attributes, `span.kind`, `otel.status_code`, `error`, `otel.status_description`,
`w3c.tracestate`; events are logs with an `event` field; the parent is a CHILD_OF reference and comes
first, links are FOLLOWS_FROM unless their `opentracing.ref_type` says child_of. Times and durations
are whole microseconds, cut off.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData

from dashcam.store import values
from dashcam.store.matching import KINDS
from dashcam.store.span_warnings import WARNINGS, get_warnings

Json = dict[str, Any]

_STATUS = {1: "OK", 2: "ERROR"}


def trace_json(trace_id: bytes, data: TracesData) -> Json:
    """One trace: `{"traceID", "spans", "processes", "warnings"}`."""
    name = trace_hex(trace_id)
    spans: list[Json] = []
    processes: dict[str, Json] = {}
    for resource_spans in data.resource_spans:
        process_id = ""
        for scope_spans in resource_spans.scope_spans:
            scope = _scope_tags(scope_spans.scope)
            for span in scope_spans.spans:
                process_id = process_id or _process_id(_process(resource_spans.resource), processes)
                spans.append(_span(span, name, scope, process_id))
    return {"traceID": name, "spans": spans, "processes": processes, "warnings": None}


def trace_hex(trace_id: bytes) -> str:
    """A trace id as this API writes it: 32 hex digits, or 16 where the upper half is zero."""
    text = trace_id.hex().rjust(32, "0")
    return text[16:] if text.startswith("0" * 16) else text


def _process_id(process: Json, processes: dict[str, Json]) -> str:
    """The key of an equal process; `p1`, `p2`, … in order of appearance."""
    for key, known in processes.items():
        if known == process:
            return key
    key = f"p{len(processes) + 1}"
    processes[key] = process
    return key


def _process(resource: Resource) -> Json:
    name = values.find(resource.attributes, "service.name")
    return {
        "serviceName": name.string_value if name is not None else "OTLPResourceNoServiceName",
        "tags": [values.tag(a.key, a.value) for a in resource.attributes if a.key != "service.name"],
    }


def _span(span: Span, trace: str, scope: list[Json], process_id: str) -> Json:
    tags, warnings = _tags(span, scope)
    start = span.start_time_unix_nano
    return {
        "traceID": trace,
        "spanID": span.span_id.hex(),
        "operationName": span.name,
        "references": _references(span),
        "startTime": start // 1000,
        "duration": (span.end_time_unix_nano - start) // 1000,
        "tags": tags,
        "logs": [
            {"timestamp": event.time_unix_nano // 1000, "fields": _fields(event)} for event in span.events
        ],
        "processID": process_id,
        "warnings": warnings,
    }


def _scope_tags(scope: InstrumentationScope) -> list[Json]:
    tags = []
    if scope.name:
        tags.append(values.string_tag("otel.scope.name", scope.name))
    if scope.version:
        tags.append(values.string_tag("otel.scope.version", scope.version))
    return tags


def _tags(span: Span, scope: list[Json]) -> tuple[list[Json], list[str] | None]:
    """The tags of a span, which begin with those of its scope, and its warnings."""
    tags, warnings = list(scope), None
    for attribute in span.attributes:
        key, value = attribute.key, attribute.value
        if key == WARNINGS:
            warnings = get_warnings(span) or None
        elif text := value.string_value:  # most are: not to ask for the type saves a tenth of a large answer
            tags.append({"key": key, "type": "string", "value": text})
        else:
            tags.append(values.tag(key, value))
    if kind := KINDS.get(span.kind):
        tags.append(values.string_tag("span.kind", kind))
    if span.HasField("status"):
        tags += _status_tags(span.status)
    if span.trace_state:
        tags.append(values.string_tag("w3c.tracestate", span.trace_state))
    return tags, warnings


def _status_tags(status: Status) -> list[Json]:
    tags = []
    if name := _STATUS.get(status.code):
        tags.append(values.string_tag("otel.status_code", name))
    if status.code == 2:
        tags.append({"key": "error", "type": "bool", "value": True})
    if status.message:
        tags.append(values.string_tag("otel.status_description", status.message))
    return tags


def _references(span: Span) -> list[Json]:
    def reference(kind: str, trace: bytes, other: bytes) -> Json:
        return {
            "refType": kind,
            "traceID": trace_hex(trace),
            "spanID": other.hex().rjust(16, "0"),
        }

    references: list[Json] = []
    if any(span.parent_span_id):
        references.append(reference("CHILD_OF", span.trace_id, span.parent_span_id))
    for link in span.links:
        kind = _link_kind(link)
        if references and (link.trace_id, link.span_id) == (span.trace_id, span.parent_span_id):
            references[0]["refType"] = kind
        else:
            references.append(reference(kind, link.trace_id, link.span_id))
    return references


def _link_kind(link: Span.Link) -> str:
    kind = values.find(link.attributes, "opentracing.ref_type")
    return "CHILD_OF" if kind is not None and kind.string_value == "child_of" else "FOLLOWS_FROM"


def _fields(event: Span.Event) -> list[Json]:
    fields = [values.tag(a.key, a.value) for a in event.attributes]
    if event.name and all(a.key != "event" for a in event.attributes):
        fields.insert(0, values.string_tag("event", event.name))
    return fields
