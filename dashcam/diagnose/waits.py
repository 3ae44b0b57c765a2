"""What requests wait for, and what of that is usual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean

from dashcam.diagnose.places import Place, Visit
from dashcam.diagnose.served import Served
from dashcam.diagnose.significance import Change

SLOWER, EXCESS = 3.0, 0.03
"""What is late: from SLOWER times the usual 90th percentile on, and from EXCESS seconds above it."""
UNKNOWN = 0.1
"""From how many seconds on something is late where none of its kind is known from before."""
LASTS = 5.0
"""Seconds over which late requests must lie: a machine that stops for a moment makes all late."""


@dataclass(frozen=True)
class Usual:
    """How long something takes while all is well, in seconds: on average, and from when on it is late."""

    mean: float
    late: float

    @classmethod
    def of(cls, earlier: Sequence[float]) -> Usual:
        """From what was measured before."""
        if not earlier:
            return cls(0.0, UNKNOWN)
        high = sorted(earlier)[min(len(earlier) - 1, int(0.9 * len(earlier)))]
        return cls(mean(earlier), max(SLOWER * high, high + EXCESS))


@dataclass(frozen=True)
class Waits:
    """A request and what it waited for: seconds at each place, for which its service is to blame."""

    request: Served
    at: Sequence[tuple[Place, float, Visit]]

    @property
    def seconds(self) -> float:
        return sum(seconds for _, seconds, _ in self.at)

    @property
    def kind(self) -> str:
        return self.request.operation


@dataclass(frozen=True)
class Slowed:
    """A service whose requests wait longer since the `change`, the seconds lost, and those requests.

    `lost` is what the late ones among them lose, in seconds by the id of their trace.
    """

    change: Change
    cost: float
    since: Sequence[Waits]
    lost: Mapping[str, float] = field(default_factory=dict)
