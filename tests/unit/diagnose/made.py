"""Spans and series made by hand, for tests of single parts of the diagnosis."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from dashcam.model.traces import Event
from dashcam.sources import Series, Span, Trace

NUMBERS = itertools.count(1)


def span(
    service: str,
    operation: str,
    start: float,
    seconds: float,
    *children: Span,
    kind: str = "server",
    error: str = "",
    **attributes: Any,
) -> list[Span]:
    """A span and its children, `start` in seconds since an epoch of the test's own."""
    number = f"{next(NUMBERS):016x}"
    named = {name.replace("_", "."): value for name, value in attributes.items()}
    named |= {"span.kind": kind} | ({"error": True} if error else {})
    events = (Event(int(start * 1e6), "exception", {"exception.type": error, "exception.message": error}),)
    own = Span(
        trace_id="",
        span_id=number,
        parent_id=None,
        operation=operation,
        service=service,
        start=int(start * 1e6),
        duration=int(seconds * 1e6),
        attributes=named,
        resource={"service.name": service},
        events=events if error else (),
    )
    return [own, *(_below(number, child) for child in children)]


def _below(parent: str, child: Span) -> Span:
    import dataclasses

    return child if child.parent_id else dataclasses.replace(child, parent_id=parent)


def trace(spans: Sequence[Span]) -> Trace:
    """The spans as one trace."""
    import dataclasses

    trace_id = f"{next(NUMBERS):032x}"
    return Trace(trace_id, tuple(dataclasses.replace(one, trace_id=trace_id) for one in spans))


def series(points: Sequence[float], every: float = 5.0, labels: Mapping[str, str] | None = None) -> Series:
    """A series with a value each `every` seconds from 0 on."""
    return Series(labels or {}, tuple((index * every, value) for index, value in enumerate(points)))
