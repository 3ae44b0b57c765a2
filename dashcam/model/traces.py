"""Traces as the sources answer them: Jaeger's JSON made into frozen values, in microseconds since the epoch.

`Trace.from_jaeger` is lenient where Jaeger itself is (a missing process, a parent that never arrived)
and raises ValueError for what is not Jaeger's JSON at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

UNKNOWN_SERVICE = "unknown_service"

LATEST = 253_402_300_799_999_999
"""The last microsecond that a date can be written for; clocks that are beyond are taken to be there."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A link to another span, in this trace or another."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at one moment of a span; `name` is its `event` field."""

    time: int
    name: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """One span. Times and durations in microseconds; `parent_id` may name a span that is not in the trace."""

    trace_id: str
    span_id: str
    parent_id: str | None
    operation: str
    service: str
    start: int
    duration: int
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    events: tuple[Event, ...] = ()
    links: tuple[Reference, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def end(self) -> int:
        return self.start + self.duration

    @property
    def kind(self) -> str:
        """client, server, producer, consumer or internal."""
        return str(self.attributes.get("span.kind", "internal"))

    @property
    def failed(self) -> bool:
        """True where the span's status is an error."""
        error = self.attributes.get("error")
        return error is True or error == "true" or self.attributes.get("otel.status_code") == "ERROR"

    @property
    def status_message(self) -> str:
        return str(self.attributes.get("otel.status_description", ""))

    @property
    def target(self) -> str:
        """Whom a client span calls: host, port and path without the query; empty for other spans."""
        if self.kind != "client" or "db.system.name" in self.attributes:
            return ""
        if url := str(self.attributes.get("url.full", "")):
            return url.partition("://")[2].partition("?")[0]
        host, port = self.attributes.get("server.address", ""), self.attributes.get("server.port", "")
        return f"{host}:{port}" if host and port else str(host)

    @property
    def exceptions(self) -> tuple[Event, ...]:
        """Its exception events, by the semantic conventions."""
        return tuple(event for event in self.events if event.name == "exception")


@dataclass(frozen=True)
class Trace:
    """All spans of one trace that the source has, by start time."""

    trace_id: str
    spans: tuple[Span, ...]
    warnings: tuple[str, ...] = ()

    @cached_property
    def start(self) -> int:
        return min((span.start for span in self.spans), default=0)

    @cached_property
    def end(self) -> int:
        return max((span.end for span in self.spans), default=0)

    @property
    def duration(self) -> int:
        """From the first span's start to the last one's end, in microseconds."""
        return self.end - self.start

    @cached_property
    def by_id(self) -> Mapping[str, Span]:
        return {span.span_id: span for span in self.spans}

    @cached_property
    def root(self) -> Span | None:
        """The earliest span without a parent in the trace; None for an empty trace."""
        orphans = (span for span in self.spans if span.parent_id not in self.by_id)
        return next(orphans, self.spans[0] if self.spans else None)

    @cached_property
    def services(self) -> Mapping[str, int]:
        """How many spans each service has, by name."""
        counts: dict[str, int] = {}
        for span in self.spans:
            counts[span.service] = counts.get(span.service, 0) + 1
        return dict(sorted(counts.items()))

    @cached_property
    def errors(self) -> int:
        """How many of its spans failed."""
        return sum(span.failed for span in self.spans)

    @classmethod
    def from_jaeger(cls, data: Any) -> Trace:
        """Make a trace of one element of `data` in Jaeger's `/api/traces` answer."""
        try:
            processes = data.get("processes") or {}
            spans = [_span(span, processes) for span in data["spans"]]
            trace_id = str(data["traceID"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not a trace of Jaeger's: {error!r}") from error
        # Jaeger repeats a span that was stored twice; only the first of each id counts.
        unique = {span.span_id: span for span in reversed(spans)}
        ordered = sorted(unique.values(), key=lambda span: (span.start, -span.duration))
        return cls(trace_id, tuple(ordered), tuple(data.get("warnings") or ()))


def _span(data: Mapping[str, Any], processes: Mapping[str, Any]) -> Span:
    process = data.get("process") or processes.get(data.get("processID", "")) or {}
    trace_id = str(data["traceID"])
    parent, links = _references(trace_id, data.get("references") or ())
    return Span(
        trace_id=trace_id,
        span_id=str(data["spanID"]),
        parent_id=parent,
        operation=str(data["operationName"]),
        service=str(process.get("serviceName") or UNKNOWN_SERVICE),
        start=microseconds(data["startTime"]),
        duration=microseconds(data["duration"]),
        attributes=_attributes(data.get("tags")),
        resource=_attributes(process.get("tags")),
        events=tuple(_event(event) for event in data.get("logs") or ()),
        links=links,
        warnings=tuple(str(warning) for warning in data.get("warnings") or ()),
    )


def _references(trace_id: str, references: Any) -> tuple[str | None, tuple[Reference, ...]]:
    """The parent, which is the first CHILD_OF in the same trace, and all others as links."""
    parent: str | None = None
    links = []
    for reference in references:
        other, span_id = str(reference["traceID"]), str(reference["spanID"])
        if parent is None and reference.get("refType") == "CHILD_OF" and other == trace_id:
            parent = span_id
        else:
            links.append(Reference(other, span_id, _attributes(reference.get("tags"))))
    return parent, tuple(links)


def _event(data: Mapping[str, Any]) -> Event:
    attributes = _attributes(data.get("fields"))
    name = attributes.pop("event", None) or attributes.get("message") or "event"
    return Event(microseconds(data["timestamp"]), str(name), attributes)


def microseconds(value: Any) -> int:
    """A time in microseconds, kept within what a date can hold: telemetry may carry any number."""
    return max(0, min(int(value), LATEST))


def _attributes(tags: Any) -> dict[str, Any]:
    return {str(tag["key"]): tag.get("value") for tag in tags or ()}
