"""What travels from the receivers to the writer: spans and log lines, ready to be stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

SPAN_BYTES = 640
LINE_BYTES = 320
"""What a record takes in memory beside its encoded bytes: objects, numbers and ids."""


class Group(NamedTuple):
    """What the spans of one OTLP `ScopeSpans` share, encoded as fields of the messages around them."""

    resource: bytes
    scope: bytes
    scope_schema: bytes
    resource_schema: bytes


class SpanRow(NamedTuple):
    """One span. Times in nanoseconds; `encoded` is its OTLP protobuf, `tokens` those of its tags."""

    service: str
    name: str
    kind: int
    start: int
    duration: int
    status: int
    trace: bytes
    span: bytes
    parent: bytes
    tokens: bytes
    encoded: bytes
    group: Group


class LogRow(NamedTuple):
    """One log line, as JSON. `time` in microseconds, `level` an OpenTelemetry severity number or 0."""

    time: int
    level: int
    service: str
    trace: bytes
    line: bytes


class TailState(NamedTuple):
    """How far a log file has been read; `head` holds its first bytes, by which it is known again."""

    device: int
    inode: int
    head: bytes
    position: int
    skipping: bool


@dataclass
class Batch:
    """What is stored in one transaction or not at all."""

    spans: list[SpanRow] = field(default_factory=list)
    logs: list[LogRow] = field(default_factory=list)
    tail: list[TailState] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.spans) + len(self.logs)

    @cached_property
    def weight(self) -> int:
        """About what the records take in memory."""
        groups = {id(row.group): sum(map(len, row.group)) for row in self.spans}
        spans = sum(SPAN_BYTES + len(row.encoded) + len(row.tokens) for row in self.spans)
        return sum(groups.values()) + spans + sum(LINE_BYTES + len(row.line) for row in self.logs)
