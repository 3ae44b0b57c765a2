"""What an importer makes of a data set: windows of telemetry, and what was wrong in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dashcam.sources import LogLine, Series, Trace


@dataclass(frozen=True)
class Case:
    """One window, from `start` to `end` in Unix seconds, and the service and kind of its fault.

    `service` is empty where there was none. `moment` is when the fault was made, as the data set says: only
    the trivial rules are told. `traces` and `lines` are those of the window and of the time before it,
    `series` is by the names of the diagnosis' own queries.
    """

    name: str
    kind: str
    service: str
    start: float
    end: float
    moment: float
    traces: Sequence[Trace]
    lines: Sequence[LogLine]
    series: Mapping[str, Sequence[Series]] = field(default_factory=dict)
