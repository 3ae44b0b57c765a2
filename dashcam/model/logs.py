"""Log lines, and what is asked for of them.

A line is the JSON object that a service wrote, field by field; times are microseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import orjson

SEVERITIES = ("DEBUG", "INFO", "WARN", "ERROR", "FATAL")
"""From the least to the most severe."""

_SAME = {"NOTICE": "INFO", "WARNING": "WARN", "CRITICAL": "FATAL"}
"""What the store keeps as it was written, and takes for the same level."""

SHOWN_APART = frozenset({"timestamp", "severity", "message", "service", "trace_id", "span_id"})
"""Fields that a view shows in places of their own."""


@dataclass(frozen=True)
class LogQuery:
    """A search. Every part that is empty matches everything; `level` is the least severity."""

    service: str = ""
    trace_id: str = ""
    span_id: str = ""
    level: str = ""
    text: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    start: int | None = None
    end: int | None = None
    limit: int = 100


@dataclass(frozen=True)
class LogLine:
    """One line with all its fields."""

    fields: Mapping[str, Any]

    @cached_property
    def time(self) -> int:
        """Microseconds since the epoch; 0 where the line has no readable timestamp."""
        text = str(self.fields.get("timestamp") or self.fields.get("@timestamp") or "")
        return microseconds(text) or 0

    @property
    def severity(self) -> str:
        """One of SEVERITIES or TRACE where the line's word means one; else that word, in capitals."""
        word = str(self.fields.get("severity", "")).upper()
        return _SAME.get(word, word)

    @property
    def message(self) -> str:
        return str(self.fields.get("message", ""))

    @property
    def service(self) -> str:
        return str(self.fields.get("service", ""))

    @property
    def trace_id(self) -> str:
        return str(self.fields.get("trace_id") or "")

    @property
    def span_id(self) -> str:
        return str(self.fields.get("span_id") or "")

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        """The fields beside those that every line has, by name."""
        return {name: self.fields[name] for name in sorted(self.fields.keys() - SHOWN_APART)}

    @cached_property
    def identifiers(self) -> Mapping[str, Any]:
        """Its trace and span, where it has them."""
        return {name: self.fields[name] for name in ("trace_id", "span_id") if self.fields.get(name)}

    @cached_property
    def identity(self) -> bytes:
        """Equal for the same line read twice."""
        return orjson.dumps(dict(self.fields), option=orjson.OPT_SORT_KEYS)


@dataclass(frozen=True)
class LogPage:
    """Lines newest first, at most the limit asked for; `total` is how many match, or at least as many.

    `place` is where the store was when it answered, for :meth:`LogSearch.since`.
    """

    lines: Sequence[LogLine]
    total: int
    exact: bool = True
    place: str = ""


@dataclass(frozen=True)
class LogBucket:
    """How many lines of each severity began in [start, start + width), in microseconds."""

    start: int
    width: int
    counts: Mapping[str, int]
    exact: bool = True
    """False where the counts are estimated from a part of the lines."""

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def microseconds(timestamp: str) -> int | None:
    """RFC 3339 to microseconds since the epoch; None for anything else."""
    head, dot, tail = timestamp.partition(".")
    if dot:
        digits = len(tail) - len(tail.lstrip("0123456789"))
        timestamp = f"{head}.{tail[: min(digits, 6)].ljust(6, '0')}{tail[digits:]}"
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 1_000_000 + moment.microsecond
