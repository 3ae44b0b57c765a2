"""Warnings that Jaeger attaches to a span: a list in an attribute until the answer is written."""

from __future__ import annotations

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from dashcam.store import values

WARNINGS = "@jaeger@warnings"
"""The attribute that carries them, by Jaeger's name."""


def add_warning(span: Span, warning: str) -> None:
    """Add a warning to a span."""
    value = values.find(span.attributes, WARNINGS)
    if value is None:
        value = span.attributes.add(key=WARNINGS).value
    elif value.WhichOneof("value") != "array_value":
        previous = values.text(value)
        value.array_value.values.add(string_value=previous)
    value.array_value.values.add(string_value=warning)


def get_warnings(span: Span) -> list[str]:
    """The warnings of a span, oldest first."""
    value = values.find(span.attributes, WARNINGS)
    if value is None:
        return []
    if value.WhichOneof("value") != "array_value":
        return [values.text(value)]
    return [item.string_value for item in value.array_value.values]
