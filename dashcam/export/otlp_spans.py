"""Traces as OTLP JSON, for what has them only as the tools' own model: data sets of others.

Jaeger's model writes some of a span's own fields as attributes (`span.kind`, `otel.status_code`, …): they
become fields again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dashcam.export.otlp_lines import attribute_value, hex_id
from dashcam.sources import Span, Trace

KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_FIELDS = frozenset({"span.kind", "error", "otel.status_code", "otel.status_description"})


def resources(trace: Trace) -> list[dict[str, Any]]:
    """The `resourceSpans` of a trace: its spans by the process that they are of."""
    groups: dict[str, tuple[Mapping[str, Any], list[Span]]] = {}
    for span in trace.spans:
        resource = {**span.resource, "service.name": span.service}
        groups.setdefault(repr(sorted(resource.items(), key=str)), (resource, []))[1].append(span)
    return [
        {
            "resource": {"attributes": _attributes(resource.items())},
            "scopeSpans": [{"scope": {}, "spans": [_span(span) for span in spans]}],
        }
        for resource, spans in groups.values()
    ]


def _span(span: Span) -> dict[str, Any]:
    kind = KINDS.get(str(span.attributes.get("span.kind", "")), 0)
    return {
        "traceId": hex_id(span.trace_id, 32),
        "spanId": hex_id(span.span_id, 16),
        **({"parentSpanId": hex_id(span.parent_id, 16)} if span.parent_id else {}),
        "name": span.operation,
        **({"kind": kind} if kind else {}),
        "startTimeUnixNano": str(span.start * 1000),
        "endTimeUnixNano": str(span.end * 1000),
        "attributes": _attributes((key, one) for key, one in span.attributes.items() if key not in _FIELDS),
        "events": [
            {
                "timeUnixNano": str(one.time * 1000),
                "name": one.name,
                "attributes": _attributes(one.attributes.items()),
            }
            for one in span.events
        ],
        "links": [
            {"traceId": hex_id(one.trace_id, 32), "spanId": hex_id(one.span_id, 16)} for one in span.links
        ],
        "status": {"code": 2, "message": span.status_message} if span.failed else {},
    }


def _attributes(fields: Iterable[tuple[str, Any]]) -> list[dict[str, Any]]:
    return [{"key": key, "value": attribute_value(value)} for key, value in fields]
