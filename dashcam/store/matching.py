"""Whether a span matches a search, as Jaeger decides it.

A tag matches where the text of an attribute of that key equals the query's, on the span, its scope,
its resource, its events or its links. These keys mean something of their own, as in Jaeger:
`error` (true: status is error; false: it is not), `span.kind`, `span.status`, `scope.name`,
`scope.version`, and `resource.<key>`, which looks at the resource only. The tags that Jaeger derives
(`otel.status_code`, `otel.status_description`, `otel.scope.name`, `otel.scope.version`,
`w3c.tracestate`, `event`) can be searched by the names it shows them under.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from dashcam.store import values

KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
"""Span kinds as Jaeger writes them; unspecified has none."""

STATUSES = {"OK": 1, "ERROR": 2}

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_NEVER = -1
NOT_ERROR = -2
_COLUMNS = frozenset({"error", "span.kind", "span.status", "otel.status_code"})

Bounds = tuple[int, int]


def kind_number(text: str) -> int:
    """The number of a span kind's name in any case; unknown ones are unspecified."""
    return next((number for number, name in KINDS.items() if name == text.lower()), 0)


def status_wanted(attributes: Mapping[str, str]) -> int | None:
    """The status code that the attributes ask for; NOT_ERROR for any but error, None for any at all.

    Two that contradict each other, or an `error` that is not a boolean, can match nothing: -1.
    """
    wanted: set[int] = set()
    if (error := attributes.get("error")) is not None:
        wanted.add(2 if error in _TRUE else NOT_ERROR if error in _FALSE else _NEVER)
    for key in ("span.status", "otel.status_code"):
        if key in attributes:
            wanted.add(STATUSES.get(attributes[key].upper(), 0))
    if NOT_ERROR in wanted and len(wanted) > 1 and 2 not in wanted:
        wanted.discard(NOT_ERROR)
    if len(wanted) > 1:
        return _NEVER
    return wanted.pop() if wanted else None


def token_key(key: str) -> str | None:
    """The key that a queried tag is indexed under; None where no token tells."""
    if key in _COLUMNS:
        return None
    if key in ("scope.name", "scope.version"):
        return f"otel.{key}"
    return key.removeprefix("resource.")


def matches(
    data: TracesData,
    service: str,
    operation: str,
    attributes: Mapping[str, str],
    starts: Bounds,
    durations: Bounds,
) -> bool:
    """Whether one span of the trace matches everything that is asked."""
    status = status_wanted(attributes)
    for resource_spans in data.resource_spans:
        if service and _text(resource_spans.resource.attributes, "service.name") != service:
            continue
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                duration = span.end_time_unix_nano - span.start_time_unix_nano
                if (
                    (not operation or span.name == operation)
                    and starts[0] <= span.start_time_unix_nano <= starts[1]
                    and durations[0] <= duration <= durations[1]
                    and _status_fits(span.status.code, status)
                    and _tags_match(span, scope_spans.scope, resource_spans.resource, attributes)
                ):
                    return True
    return False


def _status_fits(code: int, wanted: int | None) -> bool:
    return wanted is None or (code != 2 if wanted == NOT_ERROR else code == wanted)


def _tags_match(
    span: Span, scope: InstrumentationScope, resource: Resource, attributes: Mapping[str, str]
) -> bool:
    for key, text in attributes.items():
        if key == "span.kind":
            if span.kind != kind_number(text):
                return False
        elif key in _COLUMNS:
            continue
        elif key.startswith("resource."):
            if _text(resource.attributes, key.removeprefix("resource.")) != text:
                return False
        elif text not in _texts(span, scope, resource, key):
            return False
    return True


def _texts(span: Span, scope: InstrumentationScope, resource: Resource, key: str) -> list[str]:
    """The texts that a tag of that key has on a span and what belongs to it."""
    derived = {
        "scope.name": [scope.name],
        "scope.version": [scope.version],
        "otel.scope.name": [scope.name] if scope.name else [],
        "otel.scope.version": [scope.version] if scope.version else [],
        "otel.status_description": [span.status.message] if span.status.message else [],
        "w3c.tracestate": [span.trace_state] if span.trace_state else [],
        "event": [event.name for event in span.events],
    }.get(key, [])
    if key in ("scope.name", "scope.version"):
        return derived
    holders: list[Iterable[KeyValue]] = [span.attributes, scope.attributes, resource.attributes]
    holders += [event.attributes for event in span.events]
    holders += [link.attributes for link in span.links]
    return derived + [text for holder in holders if (text := _text(holder, key)) is not None]


def _text(attributes: Iterable[KeyValue], key: str) -> str | None:
    value = values.find(attributes, key)
    return None if value is None else values.text(value)
