"""B3, in its single-header and multi-header forms, with the states that OpenTelemetry has no word for.

Ids without a decision leave it to this service; a decision without ids is kept for the trace that begins
here; debug is passed on as debug. https://github.com/openzipkin/b3-propagation
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.textmap import Getter, default_getter, default_setter
from opentelemetry.trace import SpanContext, TraceFlags

DECISION = contexts.create_key("observability.b3-decision")
"""Of a request: a `Decided` where its parent's sampled flag does not say it all."""
_DEBUG = contexts.create_key("observability.b3-debug")

_TRACE_ID = re.compile(r"[0-9a-fA-F]{16}|[0-9a-fA-F]{32}")
_SPAN_ID = re.compile(r"[0-9a-fA-F]{16}")
_SAYS = {"1": True, "true": True, "d": True, "0": False, "false": False}


class Decided(NamedTuple):
    """Whether a request shall be sampled, by who sent it; None leaves it to this service."""

    sampled: bool | None


class _Given(NamedTuple):
    """What the headers hold: texts, of which each may be empty or rubbish."""

    trace_id: str
    span_id: str
    state: str
    debug: bool


def _first(carrier: Any, getter: Getter[Any], name: str) -> str:
    return next(iter(getter.get(carrier, name) or ()), "").strip()


def _given(carrier: Any, getter: Getter[Any]) -> _Given:
    """The single header, where there is one; it goes before the others."""
    if single := _first(carrier, getter, B3SingleFormat.SINGLE_HEADER_KEY):
        parts = single.split("-")
        if len(parts) == 1:
            return _Given("", "", single, single == "d")
        trace_id, span_id, state = (*parts, "", "")[:3]
        return _Given(trace_id, span_id, state, state == "d")
    names = (B3MultiFormat.TRACE_ID_KEY, B3MultiFormat.SPAN_ID_KEY, B3MultiFormat.SAMPLED_KEY)
    trace_id, span_id, state = (_first(carrier, getter, name) for name in names)
    debug = _first(carrier, getter, B3MultiFormat.FLAGS_KEY) == "1"
    return _Given(trace_id, span_id, "d" if debug else state, debug)


def _extracted(carrier: Any, context: Context | None, getter: Getter[Any]) -> Context:
    context = Context() if context is None else context
    given = _given(carrier, getter)
    sampled = _SAYS.get(given.state.lower())
    if given.debug:
        context = contexts.set_value(_DEBUG, True, context)
    if not (_TRACE_ID.fullmatch(given.trace_id) and _SPAN_ID.fullmatch(given.span_id)):
        nothing_else = not (given.trace_id or given.span_id) and sampled is not None
        return contexts.set_value(DECISION, Decided(sampled), context) if nothing_else else context
    trace_id, span_id = int(given.trace_id, 16), int(given.span_id, 16)
    if not trace_id or not span_id:
        return context
    if sampled is None:
        context = contexts.set_value(DECISION, Decided(None), context)
    identity = SpanContext(trace_id, span_id, True, TraceFlags(bool(sampled)), trace.TraceState())
    return trace.set_span_in_context(trace.NonRecordingSpan(identity), context)


class B3Single(B3SingleFormat):
    """One header, `b3`. Reads the other form too."""

    def extract(
        self, carrier: Any, context: Context | None = None, getter: Getter[Any] = default_getter
    ) -> Context:
        return _extracted(carrier, context, getter)

    def inject(self, carrier: Any, context: Context | None = None, setter: Any = default_setter) -> None:
        identity = trace.get_current_span(context).get_span_context()
        if identity.is_valid:
            state = "d" if contexts.get_value(_DEBUG, context) else str(identity.trace_flags & 1)
            ids = f"{trace.format_trace_id(identity.trace_id)}-{trace.format_span_id(identity.span_id)}"
            setter.set(carrier, self.SINGLE_HEADER_KEY, f"{ids}-{state}")


class B3Multi(B3MultiFormat):
    """A header for each. Reads the other form too."""

    def extract(
        self, carrier: Any, context: Context | None = None, getter: Getter[Any] = default_getter
    ) -> Context:
        return _extracted(carrier, context, getter)

    def inject(self, carrier: Any, context: Context | None = None, setter: Any = default_setter) -> None:
        if (
            contexts.get_value(_DEBUG, context)
            and trace.get_current_span(context).get_span_context().is_valid
        ):
            held: dict[str, str] = {}
            super().inject(held, context)
            held.pop(self.SAMPLED_KEY)  # debug says it
            for name, value in {**held, self.FLAGS_KEY: "1"}.items():
                setter.set(carrier, name, value)
        else:
            super().inject(carrier, context, setter)
