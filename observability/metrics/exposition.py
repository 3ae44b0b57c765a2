"""Families as the text of `/metrics`: OpenMetrics 1.0 (with exemplars) or Prometheus' text format 0.0.4."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

from prometheus_client import CollectorRegistry, exposition
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.utils import floatToGoString

from observability.metrics.registry_reader import RegistryReader
from observability.metrics.slices import Slices
from observability.metrics.snapshot import Family, Snapshot

AT_ONCE = 512
"""Lines between two looks at the clock."""


class Source(Protocol):
    """Where the admin port gets its metrics from: one process, or several of them merged."""

    def snapshot(self) -> Snapshot: ...


class OwnMetrics:
    """The metrics of this process alone."""

    def __init__(self, *registries: CollectorRegistry) -> None:
        self._reader = RegistryReader(*registries)
        self._reading = threading.Lock()

    def snapshot(self) -> Snapshot:
        """All families as they are now."""
        with self._reading:
            return self._reader.read()


def render(snapshot: Snapshot, openmetrics: bool) -> bytes:
    """The text of `snapshot`, made in slices, so that requests go on meanwhile."""
    slices = Slices()
    shown = lru_cache(maxsize=AT_ONCE)(floatToGoString)  # most values are small counts that repeat
    # `or 0.0`: to the cache, a negative zero is the same as a zero.
    keys, values = snapshot.layout.keys, snapshot.values
    lines: list[str] = []
    for began in range(0, len(keys), AT_ONCE):
        some = zip(keys[began : began + AT_ONCE], values[began : began + AT_ONCE], strict=True)
        lines += [f"{key} {shown(value or 0.0)}\n" for key, value in some]
        slices.breathe()
    if openmetrics:
        for place, (_, exemplar) in snapshot.exemplars.items():
            lines[place] = f"{lines[place][:-1]} # {exemplar}\n"
    text: list[str] = []
    began = 0
    for family in snapshot.layout.families:
        text.append(_head(family, openmetrics))
        text += lines[began : began + family.size]
        began += family.size
    if openmetrics:
        text.append("# EOF\n")
    return "".join(text).encode("utf-8", "replace")


class _One:
    """A registry of one family, for the client's encoders."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return [self._metric]


def _head(family: Family, openmetrics: bool) -> str:
    """HELP, TYPE and UNIT, as the client's own encoders write them."""
    one = _One(Metric(family.name, family.help, family.type, family.unit))
    if openmetrics:
        head: bytes = openmetrics_exposition.generate_latest(one)  # type: ignore[no-untyped-call]
        return head.decode().removesuffix("# EOF\n")
    return exposition.generate_latest(one).decode()
