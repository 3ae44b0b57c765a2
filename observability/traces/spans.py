"""The SDK's `Span`, with the same meaning and a third of the work; `tracer.py` makes them.

What is left out: the copy that the SDK makes when a span ends (an ended span refuses every change anyway),
a lock, a list and two bounded mappings for each span, and the collecting of attributes before anybody
asks for them. A span may be given `later`, a function that collects its first attributes: it is called
when they are read, or when an attribute is set on top of them, and never for a span that is not kept.

Limits, the cleaning of values, events, links and status are the SDK's. One difference is deliberate: an
exception's message and stack trace, and the description of a status, are recorded without what looks like
a credential, as in log lines.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Mapping
from time import time_ns
from types import MappingProxyType
from typing import Any, Protocol, cast

from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import Attributes, AttributeValue

from observability import redaction
from observability.traces.local_trace import LocalTrace

_logger = logging.getLogger(__name__)

LONGEST, ENOUGH = 1024, 64
"""Characters of an attribute, and attributes, up to which `Later.encoded` may answer."""

UNSET = Status(StatusCode.UNSET)
_PLAIN = frozenset({bool, int, float})


class Later(Protocol):
    """What knows a span's first attributes."""

    def attributes(self) -> dict[str, Any]:
        """Collect them."""

    def encoded(self) -> bytes | None:
        """The same as fields of an OTLP span, where that is known without collecting them.

        None where there may be more than ENOUGH of them, or one longer than LONGEST.
        """


class Origin(Protocol):
    """What a span asks of the tracer that made it."""

    resource: Resource
    scope: InstrumentationScope
    limits: sdk.SpanLimits
    lock: threading.Lock
    span_processor: Any
    roomy: bool
    """Whether what is encoded without being collected keeps the limits in any case."""


class RecordedSpan(sdk.Span):
    """A span of :class:`SpanTracer`. Processors get it itself when it ends, and not a copy."""

    def __new__(cls, *arguments: Any) -> RecordedSpan:
        return object.__new__(cls)

    # What most spans never change costs nothing to set up.
    _attributes: dict[str, Any] | None = None
    _later: Later | None = None
    _dropped = 0
    _events: Any = ()
    _links: Any = ()
    _status = UNSET
    _end_time: int | None = None
    _ending = False
    _record_exception = True
    _set_status_on_exception = True
    local_slow: int | None = None
    """Of the root of a local trace (retention.py), until it has ended: the nanoseconds that are not slow."""
    _local_trace: LocalTrace | None = None

    def __init__(
        self, tracer: Origin, name: str, context: SpanContext, parent: SpanContext | None, kind: SpanKind
    ) -> None:
        self._tracer = tracer
        self._name = name
        self._context = context
        self._parent = parent
        self._kind = kind

    # -- what all spans of a tracer have in common ---------------------------------------------------

    @property
    def resource(self) -> Resource:
        return self._tracer.resource

    @property
    def instrumentation_scope(self) -> InstrumentationScope:
        return self._tracer.scope

    @property
    def _limits(self) -> sdk.SpanLimits:
        return self._tracer.limits

    @property
    def _lock(self) -> threading.Lock:  # type: ignore[override] # what the SDK's methods take
        return self._tracer.lock

    def _readable_span(self) -> sdk.ReadableSpan:
        return self

    @property
    def local_trace(self) -> LocalTrace | None:
        """What holds the spans of an unsampled request; that of a root is made when it is first asked for."""
        if self._local_trace is None and self.local_slow is not None:
            with self._tracer.lock:
                if self._local_trace is None:
                    self._local_trace = LocalTrace(self, self.local_slow)
        return self._local_trace

    @local_trace.setter
    def local_trace(self, given: LocalTrace) -> None:
        self._local_trace = given

    def uneventful(self) -> bool:
        """Whether it was the root of a local trace that went well, of which nobody asked or told anything."""
        if self._local_trace is not None or self.local_slow is None or self._status is not UNSET:
            return False
        return (self._end_time or 0) - (self._start_time or 0) <= self.local_slow

    # -- attributes ----------------------------------------------------------------------------------

    @property
    def attributes(self) -> Attributes:
        return MappingProxyType(self._collected())

    @property
    def collected(self) -> bool:
        """Whether the first attributes were asked for already."""
        return self._attributes is not None

    def encoded(self) -> bytes | None:
        """The attributes as fields of an OTLP span, where they were not collected and need not be."""
        return self._later.encoded() if self._later is not None and self._tracer.roomy else None

    @property
    def extended(self) -> bool:
        """Whether there is more to it than attributes: events, links, or something dropped."""
        return bool(self._events or self._links or self._dropped)

    @property
    def dropped_attributes(self) -> int:
        return self._dropped

    def _collected(self) -> dict[str, Any]:
        found = self._attributes
        if found is None:
            found = self._attributes = {}
            later = self._later
            if later is not None:
                self._later = None
                self._put(later.attributes())
        return found

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        if self._end_time is not None:
            _logger.warning("Setting attribute on ended span.")
            return
        self._collected()
        self._put({key: value})

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        if self._end_time is not None:
            _logger.warning("Setting attribute on ended span.")
            return
        self._collected()
        self._put(attributes)

    def _put(self, given: Mapping[str, Any]) -> None:
        """Take `given` over, cleaned and within the limits; the oldest attribute goes when there are many."""
        mine = cast(dict[str, Any], self._attributes)
        limits = self._tracer.limits
        longest, most = limits.max_span_attribute_length, limits.max_span_attributes
        for key, value in given.items():
            kind = type(value)
            if kind not in _PLAIN:
                value = redaction.attribute(key, value)
            plain = (kind is str and (longest is None or len(value) <= longest)) or kind in _PLAIN
            if not plain or type(key) is not str or not key:
                cleaned = BoundedAttributes(1, {key: value}, max_value_len=longest)
                if not cleaned:
                    self._dropped += 1
                    continue
                ((key, value),) = cleaned.items()
            mine.pop(key, None)
            if most is not None and len(mine) >= most:
                self._dropped += 1
                if not most:
                    continue
                del mine[next(iter(mine))]
            mine[key] = value

    # -- events, links, exceptions -------------------------------------------------------------------

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        clean = {key: redaction.attribute(key, value) for key, value in (attributes or {}).items()}
        super().add_event(name, clean, timestamp)

    def _add_event(self, event: sdk.EventBase) -> None:
        if self._events == ():
            self._events = BoundedList(self._limits.max_events)
        super()._add_event(event)

    def _add_link(self, link: trace.Link) -> None:
        if self._links == ():
            self._links = BoundedList(self._limits.max_links)
        super()._add_link(link)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        kind = type(exception)
        found: dict[str, Any] = {
            "exception.type": f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."),
            "exception.message": redaction.shown(exception),
            "exception.stacktrace": redaction.text("".join(traceback.format_exception(exception))),
        }
        self.add_event("exception", {**found, **(attributes or {})}, timestamp)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        if description:
            description = redaction.text(description)
        elif isinstance(status, Status) and status.description:
            status = Status(status.status_code, redaction.text(status.description))
        super().set_status(status, description)

    # -- the end -------------------------------------------------------------------------------------

    def end(self, end_time: int | None = None) -> None:
        tracer = self._tracer
        self._ending = True  # _speedups.pyx ends without the lock what nobody else is about to end
        with tracer.lock:
            ended = self._end_time is not None
            if not ended:
                self._end_time = time_ns() if end_time is None else end_time
        if ended:
            _logger.warning("Calling end() on an ended span.")
            return
        processor = tracer.span_processor
        processor._on_ending(self)
        if self._later is not None and not getattr(processor, "reads_at_once", False):
            self._collected()
        processor.on_end(self)
        # What would collect them holds the whole request.
        self._later = None
