"""OTLP requests to records: what is checked, repaired and indexed of a span or log record.

Bytes that are not the message, and ids of a wrong length, raise Malformed: nothing of the request is
kept. A span whose trace or span id is missing or all zeros is rejected alone, and the answer says so
(`partial_success`). Repairs are Jaeger's: `missing-service-name`, `empty-service-name`,
`service-name-wrong-type`, `empty-span-name`, and one nanosecond, with a warning, for a duration that is
not positive.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from dashcam.store import elements, values
from dashcam.store.records import SPAN_BYTES, Group, SpanRow
from dashcam.store.span_warnings import add_warning
from dashcam.store.tokens import seed, string_token, token
from dashcam.store.wire import delimited

NO_TRACE = bytes(16)
NO_SPAN = bytes(8)
INT64_MAX = 2**63 - 1


class Malformed(ValueError):
    """The request is not what its content type says; the message says where."""


class TooLarge(ValueError):
    """The request would take more room than one may; it may be sent in smaller batches."""


BATCH_BYTES = 48 * 1024 * 1024
"""What the records of one request may take in memory."""

LONGEST_NAME = 1024
"""Characters of a service's name; each name is remembered in several places."""


@dataclass
class Decoded:
    """The spans to store, and how many were rejected and why. `weight` is about what they take in memory."""

    spans: list[SpanRow] = field(default_factory=list)
    rejected: int = 0
    reason: str = ""
    weight: int = 0

    def weigh(self, size: int) -> None:
        """Add to the weight. Raises TooLarge."""
        self.weight = grown(self.weight, size)


def grown(weight: int, size: int) -> int:
    """The sum. Raises TooLarge where it is more than one request may take."""
    if weight + size > BATCH_BYTES:
        raise TooLarge(f"the request takes more than {BATCH_BYTES} bytes in memory; send smaller batches")
    return weight + size


def parse_traces(body: bytes) -> ExportTraceServiceRequest:
    """The message in `body`. Raises Malformed."""
    try:
        return ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise Malformed(f"not an ExportTraceServiceRequest in protobuf: {error}") from None


def decode_traces(request: ExportTraceServiceRequest, decoded: Decoded | None = None) -> Decoded:
    """The records of a request, in its order, after those that `decoded` holds.

    Raises Malformed for an id of a wrong length, TooLarge for more than BATCH_BYTES.
    """
    decoded = decoded or Decoded()
    for resource_spans in request.resource_spans:
        service = service_name(resource_spans.resource)
        if len(service) > LONGEST_NAME:
            raise TooLarge(f"service.name has {len(service)} characters, at most {LONGEST_NAME} are taken")
        _check(resource_spans.resource.attributes, resource_spans.resource.ByteSize())
        start = seed(service)
        shared = [token(item.SerializeToString(), start) for item in resource_spans.resource.attributes]
        for scope_spans in resource_spans.scope_spans:
            _check(scope_spans.scope.attributes, scope_spans.scope.ByteSize())
            tokens = shared + _scope_tokens(scope_spans.scope, start)
            group = _group(resource_spans, scope_spans)
            decoded.weigh(sum(map(len, group)))
            for span in scope_spans.spans:
                _add(decoded, span, service, start, tokens, group)
    return decoded


def _check(attributes: Iterable[KeyValue], size: int) -> None:
    if elements.too_many(attributes, size):
        raise TooLarge(f"a resource or scope has more than {elements.MOST} attributes and values")


def service_name(resource: Resource) -> str:
    """The resource's service name; where it has none that can be used, Jaeger's placeholder is set."""
    value = values.find(resource.attributes, "service.name")
    if value is None:
        resource.attributes.add(key="service.name").value.string_value = "missing-service-name"
        return "missing-service-name"
    if value.WhichOneof("value") != "string_value":
        value.string_value = "service-name-wrong-type"
    elif not value.string_value:
        value.string_value = "empty-service-name"
    return value.string_value


def _scope_tokens(scope: InstrumentationScope, start: int) -> list[bytes]:
    tokens = [token(item.SerializeToString(), start) for item in scope.attributes]
    if scope.name:
        tokens.append(string_token("otel.scope.name", scope.name, start))
    if scope.version:
        tokens.append(string_token("otel.scope.version", scope.version, start))
    return tokens


def _group(resource_spans: ResourceSpans, scope_spans: ScopeSpans) -> Group:
    def schema(url: str) -> bytes:
        return delimited(3, url.encode()) if url else b""

    return Group(
        delimited(1, resource_spans.resource.SerializeToString()),
        delimited(1, scope_spans.scope.SerializeToString()),
        schema(scope_spans.schema_url),
        schema(resource_spans.schema_url),
    )


def _add(decoded: Decoded, span: Span, service: str, start: int, shared: list[bytes], group: Group) -> None:
    trace, span_id, parent = span.trace_id, span.span_id, span.parent_span_id
    if not _ids_fit(span, trace, span_id, parent):
        decoded.rejected += 1
        decoded.reason = "trace_id and span_id must not be empty or all zeros"
        return
    if elements.too_many_in_span(span):
        decoded.rejected += 1
        decoded.reason = elements.REASON
        return
    if not span.name:
        span.name = "empty-span-name"
    begin, end = _repair_times(span)
    tokens = [token(item.SerializeToString(), start) for item in span.attributes]
    if span.events or span.links or span.trace_state or span.status.message:
        tokens += _rare_tokens(span, start)
    row = SpanRow(
        service,
        span.name,
        span.kind,
        begin,
        min(end - begin, INT64_MAX),
        span.status.code,
        trace,
        span_id,
        parent,
        b"".join(tokens + shared),
        span.SerializeToString(),
        group,
    )
    decoded.weigh(SPAN_BYTES + len(row.tokens) + len(row.encoded))
    decoded.spans.append(row)


def _repair_times(span: Span) -> tuple[int, int]:
    """Start and end as they are stored; an end that is not after its start is set right and says so."""
    begin, end = span.start_time_unix_nano, span.end_time_unix_nano
    if end <= begin or begin >= INT64_MAX:
        begin = min(begin, INT64_MAX - 1)
        add_warning(
            span,
            "Negative duration detected, sanitizing end timestamp. Original end timestamp: "
            f"{_go_time(end)}, adjusted to: {_go_time(begin + 1)}",
        )
        end = begin + 1
        span.start_time_unix_nano, span.end_time_unix_nano = begin, end
    return begin, end


def _go_time(nanoseconds: int) -> str:
    """A time as Go prints it: `2026-11-22 15:06:40.009 +0000 UTC`."""
    seconds, rest = divmod(min(nanoseconds, INT64_MAX), 1_000_000_000)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{moment}{fraction} +0000 UTC"


def _ids_fit(span: Span, trace: bytes, span_id: bytes, parent: bytes) -> bool:
    """False for ids that are absent or zero; raises Malformed for those of a wrong length."""
    if len(trace) not in (0, 16) or len(span_id) not in (0, 8) or len(parent) not in (0, 8):
        raise Malformed(
            f"span {span.name!r}: a trace_id has 16 bytes and a span_id 8, "
            f"got trace_id {trace.hex()!r}, span_id {span_id.hex()!r}, parent_span_id {parent.hex()!r}"
        )
    for link in span.links:
        if len(link.trace_id) not in (0, 16) or len(link.span_id) not in (0, 8):
            raise Malformed(f"span {span.name!r}: a link's trace_id has 16 bytes and its span_id 8")
    return bool(trace and span_id) and trace != NO_TRACE and span_id != NO_SPAN


def _rare_tokens(span: Span, start: int) -> list[bytes]:
    tokens: list[bytes] = []
    for event in span.events:
        tokens += [token(item.SerializeToString(), start) for item in event.attributes]
        tokens.append(string_token("event", event.name, start))
    for link in span.links:
        tokens += [token(item.SerializeToString(), start) for item in link.attributes]
    if span.trace_state:
        tokens.append(string_token("w3c.tracestate", span.trace_state, start))
    if span.status.message:
        tokens.append(string_token("otel.status_description", span.status.message, start))
    return tokens
