"""Metrics as the tools speak of them: samples, series, exemplars and alerts. Times are Unix seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one series at one time."""

    labels: Labels
    time: float
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """The values of one series over a range, oldest first."""

    labels: Labels
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observed value with the trace it belongs to, and the series it was seen in."""

    series: Labels
    labels: Labels
    time: float
    value: float

    @property
    def trace_id(self) -> str:
        return self.labels.get("trace_id", "")


@dataclass(frozen=True, slots=True)
class Alert:
    """A pending or firing alert."""

    labels: Labels
    annotations: Labels
    state: str
    active_at: float
    value: float

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "")
