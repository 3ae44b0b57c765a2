"""What travels from the receivers to the writer: spans and log lines, ready to be stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


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
