"""What of a time's telemetry goes into a file, and how much."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from dashcam.sources import LogQuery


@dataclass(frozen=True)
class Selection:
    """Traces and log lines of a time; None: all of that kind. Metrics come whole, as of the time."""

    traces: Sequence[str] | None = None
    """Ids."""
    lines: Sequence[LogQuery] | None = None


@dataclass(frozen=True)
class Bound:
    """What each of a file's three parts may take: bytes, unpacked, and seconds. What is more is left out."""

    bytes: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.bytes // 10**6} MB or {self.seconds:g} s"


@dataclass
class Part:
    """A part of a file as it is written: how much of its bound it has taken."""

    bound: Bound | None
    taken: int = 0
    since: float = field(default_factory=time.monotonic)

    def full(self) -> bool:
        """Whether nothing more goes into it."""
        if self.bound is None:
            return False
        return self.taken >= self.bound.bytes or time.monotonic() - self.since >= self.bound.seconds
