"""What is known of one series that is pushed: the sum of all processes that send it, as Prometheus wants it.

A cumulative point belongs to a stream, which its start time names. Several streams are several processes
under one identity: the workers of a server, or one that was started again. Their sum is the series: what a
process had counted stays counted, so that a counter never falls. Of what can fall, a process that ended
before another began is left out. Points with delta temporality are added up. A point that is older than the
newest of its stream is late: a cumulative one tells nothing new and is dropped, a delta still counts, once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Values = Mapping[Hashable, float]
"""A counter or gauge has one value, under VALUE; a histogram has SUM, COUNT and its buckets by index."""

VALUE, SUM, COUNT = "value", "sum", "count"

STREAMS = 64
"""Processes of one identity told apart; beyond, the one that was silent longest counts as ended for good."""

REMEMBERED = 64
"""Deltas by which one that comes twice is known."""


class Exemplar(NamedTuple):
    """A request that is an example of a value; `time` in seconds."""

    value: float
    time: float
    trace: str
    span: str


class Span(NamedTuple):
    """The time that a point covers, in nanoseconds; `start` is 0 where it is not said."""

    start: int
    time: int


@dataclass
class Series:
    """One series. `size` is the samples it counts for, `bounds` are a histogram's, `seen` is when it came.

    `room` is how many processes and deltas are told apart; `own` and `charged` are for its holder to reckon.
    """

    size: int = 1
    room: int = STREAMS
    own: int = 0
    charged: int = 0
    bounds: tuple[float, ...] = ()
    monotonic: bool = True
    seen: float = 0.0
    fresh: bool = False
    exemplars: dict[int, Exemplar] = field(default_factory=dict)
    _base: dict[Hashable, float] = field(default_factory=dict)
    _streams: dict[int, tuple[int, Values]] = field(default_factory=dict)
    _deltas: deque[Span] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def scraped(self) -> dict[Hashable, float]:
        """The values for a scrape: zeros for the first one of a counter that began just now.

        What a counter has counted before its first sample is in no rate; so it begins where it did begin.
        """
        total = self.total()
        if self.fresh:
            self.fresh = False
            return dict.fromkeys(total, 0.0)
        return total

    def total(self) -> dict[Hashable, float]:
        """The values of the series."""
        if not self._base and len(self._streams) == 1:
            return dict(next(iter(self._streams.values()))[1])
        found = dict(self._base)
        newest = max(self._streams, default=0)
        for start, (time, values) in self._streams.items():
            if self.monotonic or start == newest or time > newest:
                _add(found, values)
        return found

    def latest(self, span: Span, values: Values) -> bool:
        """Take a gauge's value; False where it is late."""
        held = self._streams.get(0)
        if held and span.time < held[0]:
            return False
        self._streams[0] = (span.time, values)
        return True

    def cumulative(self, span: Span, values: Values) -> bool:
        """Take a cumulative point; False where it is late."""
        held = self._streams.get(span.start)
        if held:
            if span.time <= held[0]:
                return False
            if self.monotonic and _fell(held[1], values):
                self._fold(span.start)  # it began anew without saying so
        while not held and len(self._streams) >= self.room:
            self._fold(min(self._streams, key=lambda start: self._streams[start][0]))
        self._streams[span.start] = (span.time, values)
        return True

    def delta(self, span: Span, values: Values) -> bool:
        """Add a delta; False where it was added before."""
        if span in self._deltas:
            return False
        self._deltas.append(span)
        while len(self._deltas) > self.room:
            self._deltas.popleft()
        _add(self._base, values)
        return True

    @property
    def known(self) -> bool:
        """Whether a point was ever taken."""
        return bool(self._streams or self._base)

    @property
    def remembered(self) -> int:
        """Values and deltas that are kept to tell processes apart."""
        return len(self._streams) * self.size + len(self._deltas)

    def rebounded(self, bounds: tuple[float, ...]) -> None:
        """Begin anew with other buckets: the old ones cannot be added to the new."""
        if bounds != self.bounds:
            self.bounds = bounds
            self._base.clear()
            self._streams.clear()
            self._deltas.clear()
            self.exemplars.clear()

    def _fold(self, start: int) -> None:
        _, values = self._streams.pop(start)
        if self.monotonic:
            _add(self._base, values)


def _add(to: dict[Hashable, float], values: Values) -> None:
    for key, value in values.items():
        to[key] = to.get(key, 0.0) + value


def _fell(before: Values, after: Values) -> bool:
    key = COUNT if COUNT in before else VALUE
    return after.get(key, 0.0) < before.get(key, 0.0)
