"""How many things a record is made of: an empty attribute takes two bytes on the wire and a hundred here."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

MOST = 10_000
"""Attributes, events, links and values of a record, a resource or a scope; SDKs stop at 128 each."""

_LOOKED_AT = 16 * 1024
"""Bytes from which they are counted: fewer cannot be many."""

REASON = f"a record with more than {MOST} attributes, events, links and values is not taken"


def too_many_in_span(span: Span) -> bool:
    """Whether a span has more than MOST."""
    if span.ByteSize() < _LOOKED_AT:
        return False
    inner = sum(_of(item.attributes) for several in (span.events, span.links) for item in several)
    return len(span.events) + len(span.links) + inner + _of(span.attributes) > MOST


def too_many_in_log(record: LogRecord) -> bool:
    """Whether a log record has more than MOST."""
    return record.ByteSize() >= _LOOKED_AT and _of(record.attributes) + _in(record.body) > MOST


def too_many(attributes: Iterable[KeyValue], size: int) -> bool:
    """Whether attributes that are encoded in `size` bytes are more than MOST."""
    return size >= _LOOKED_AT and _of(attributes) > MOST


def _of(attributes: Iterable[KeyValue]) -> int:
    return sum(1 + _in(item.value) for item in attributes)


def _in(value: AnyValue) -> int:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return sum(1 + _in(item) for item in value.array_value.values)
    return _of(value.kvlist_value.values) if kind == "kvlist_value" else 0
