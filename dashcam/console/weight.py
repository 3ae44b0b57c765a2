"""How much telemetry a page may hold: no page is over 300 KB, whatever came in.

Weights are bytes of markup, about: what text takes once it is escaped, and what stands around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import escape

from dashcam.sources import LogLine, Span

PAGE = 270_000
"""Bytes that a page plans with; what it cannot plan, such as its header, stays below the rest of 300 KB."""

DETAILS = 90_000
"""Bytes of spans' details that a trace's page holds itself; beyond, they are asked for when opened."""

LENGTHS = (2000, 1000, 500, 250, 100)
"""Characters of a value that are shown, the first of these with which a page is not too large."""

ROW, LINE = 1100, 650
"""A row of a waterfall, and a log line without its fields."""

_FIELD = 48


def attributes_weight(attributes: Mapping[str, Any], length: int) -> int:
    """Bytes of a list of names and values, each value cut at `length` characters."""
    return sum(_FIELD + len(name) + _escaped(value, length) for name, value in attributes.items())


def span_weight(span: Span, length: int) -> int:
    """Bytes of a span's details."""
    events = [event for event in span.events if event.name != "exception"]
    return (
        900
        + attributes_weight(span.attributes, length)
        + attributes_weight(span.resource, length)
        + sum(200 + attributes_weight(event.attributes, length) for event in events)
        + sum(200 + attributes_weight(event.attributes, 4 * length) for event in span.exceptions)
        + 220 * len(span.links)
    )


def lines_weight(lines: Iterable[LogLine], length: int) -> int:
    """Bytes of log lines with their fields."""
    return sum(
        LINE
        + _escaped(line.message, 400)
        + (_escaped(line.message, 2 * length) if len(line.message) > 400 else 0)
        + attributes_weight(line.identifiers, length)
        + attributes_weight(line.attributes, length)
        for line in lines
    )


def fitting(weigh: Any, items: Any, room: int) -> int:
    """The first of LENGTHS with which `weigh(items, length)` is at most `room`; 0 where none is."""
    return next((length for length in LENGTHS if weigh(items, length) <= room), 0)


def _escaped(value: Any, length: int) -> int:
    text = value if isinstance(value, str) else str(value)
    return len(escape(text[:length]).encode(errors="replace"))
