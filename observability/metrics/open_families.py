"""Families of a user's own OpenTelemetry instruments: whatever attributes a measurement has become labels."""

from __future__ import annotations

import logging
import math
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from opentelemetry.metrics import CallbackOptions
from prometheus_client.metrics_core import Metric as Collected
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from observability.metrics import names

_logger = logging.getLogger(__name__)

CARDINALITY_LIMIT = 2000
"""Series of one family. What comes beyond is measured in one series more, `otel_metric_overflow="true"`."""

DEFAULT_BOUNDARIES = (0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000)
"""The specification's, for a histogram whose instrument advises none."""

_OVERFLOW = {"otel.metric.overflow": True}


class Series:
    """The value of one set of labels; `buckets` are a histogram's, each counting for itself alone."""

    __slots__ = ("buckets", "exemplars", "labels", "value")

    def __init__(self, labels: dict[str, str], buckets: int) -> None:
        self.labels = labels
        self.value = 0.0
        self.buckets = [0] * buckets
        self.exemplars: list[Exemplar | None] = [None] * max(1, buckets)


class OpenFamily:
    """One family of `/metrics`, a collector of prometheus_client's registry.

    `across` says how a gauge's values in several worker processes become one (see `Family`).
    """

    def __init__(
        self, kind: str, name: str, help: str, unit: str, across: str, boundaries: Iterable[float] = ()
    ) -> None:
        self.kind, self.name, self.help, self.across = kind, name, help, across
        suffix = names.unit_suffix(unit)
        self.unit = suffix if suffix and name.endswith(f"_{suffix}") else ""
        self.bounds = [*sorted(map(float, boundaries)), math.inf] if kind == "histogram" else []
        self._callbacks: list[tuple[dict[str, str], Callable[[], Iterable[Any]]]] = []
        self._series: dict[Any, Series] = {}
        self._known: dict[Any, Series] = {}
        self._lock = threading.Lock()

    # -- measuring --------------------------------------------------------------------------------

    def add(self, scope: Mapping[str, str], attributes: Any, amount: float, exemplar: Any) -> None:
        """Add to a counter or gauge."""
        with self._lock:
            series = self._find(scope, attributes)
            series.value += amount
            if exemplar is not None:
                series.exemplars[0] = Exemplar(exemplar, amount, time.time())

    def set(self, scope: Mapping[str, str], attributes: Any, amount: float) -> None:
        """Set a gauge."""
        with self._lock:
            self._find(scope, attributes).value = amount

    def record(self, scope: Mapping[str, str], attributes: Any, amount: float, exemplar: Any) -> None:
        """Add to a histogram."""
        place = bisect_left(self.bounds, amount)
        with self._lock:
            series = self._find(scope, attributes)
            series.value += amount
            series.buckets[place] += 1
            if exemplar is not None:
                series.exemplars[place] = Exemplar(exemplar, amount, time.time())

    def observe(self, scope: dict[str, str], callbacks: Iterable[Any]) -> Callable[[], None]:
        """Ask `callbacks` at each scrape; return the function that ends it."""
        asked = [(scope, _asked(callback)) for callback in callbacks]
        with self._lock:
            self._callbacks += asked

        def forget() -> None:
            with self._lock:
                self._callbacks = [one for one in self._callbacks if one not in asked]

        return forget

    def reset(self) -> None:
        """Forget what was measured, in a forked process: gauges too, for its parent has them."""
        self._lock = threading.Lock()
        self._series.clear()
        self._known.clear()

    def _find(self, scope: Mapping[str, str], attributes: Any) -> Series:
        given = attributes or {}
        try:
            quick: Any = (tuple(scope.values()), tuple(given.items()))
            series = self._known.get(quick)
        except TypeError:  # a value that is a list
            quick = series = None
        if series is None:
            series = self._make(scope, given)
            if quick is not None and len(self._known) < 2 * CARDINALITY_LIMIT:
                self._known[quick] = series
        return series

    def _make(self, scope: Mapping[str, str], attributes: Mapping[str, Any]) -> Series:
        labels = {**names.labels(attributes), **scope}
        key = tuple(sorted(labels.items()))
        if key not in self._series and len(self._series) >= CARDINALITY_LIMIT:
            labels = {**names.labels(_OVERFLOW), **scope}
            key = tuple(sorted(labels.items()))
        if key not in self._series:
            self._series[key] = Series(labels, len(self.bounds))
        return self._series[key]

    # -- reading ----------------------------------------------------------------------------------

    def collect(self) -> Iterable[Collected]:
        """The family as it is now."""
        with self._lock:
            callbacks = list(self._callbacks)
        for scope, callback in callbacks:
            self._ask(scope, callback)
        family = Collected(self.name, self.help, self.kind, self.unit)
        with self._lock:
            for series in self._series.values():
                self._add_samples(family, series)
        return [family]

    def _ask(self, scope: dict[str, str], callback: Callable[[], Iterable[Any]]) -> None:
        try:
            for observation in callback():
                self.set(scope, observation.attributes, observation.value)
        except Exception:
            _logger.warning("A callback of the metric %s failed", self.name, exc_info=True)

    def _add_samples(self, family: Collected, series: Series) -> None:
        if self.kind != "histogram":
            suffix = "_total" if self.kind == "counter" else ""
            exemplar = series.exemplars[0]
            family.add_sample(self.name + suffix, series.labels, series.value, exemplar=exemplar)
            return
        counts = list(accumulate(series.buckets))
        for bound, count, exemplar in zip(self.bounds, counts, series.exemplars, strict=True):
            labels = {**series.labels, "le": floatToGoString(bound)}  # type: ignore[no-untyped-call]
            family.add_sample(f"{self.name}_bucket", labels, count, exemplar=exemplar)
        family.add_sample(f"{self.name}_count", series.labels, counts[-1])
        if self.bounds[0] >= 0:  # a sum of what may be negative is no counter
            family.add_sample(f"{self.name}_sum", series.labels, series.value)


def _asked(callback: Any) -> Callable[[], Iterable[Any]]:
    """How to ask a callback of either form that the API has: a function, or a generator that is sent to."""
    if isinstance(callback, Generator):
        next(callback)
        return lambda: callback.send(CallbackOptions())
    return lambda: _iterated(callback)


def _iterated(callback: Any) -> Iterator[Any]:
    yield from callback(CallbackOptions())
