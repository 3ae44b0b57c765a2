"""The two server families, as a request measures itself in them."""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import Any

from prometheus_client.samples import Exemplar

from observability import schema
from observability.metrics.meters import Families


class ServerMetrics:
    """The two server families; their series are found by the request's own strings."""

    def __init__(self, families: Families) -> None:
        self._duration = families.metric(schema.HTTP_SERVER_DURATION)
        self._active = families.metric(schema.HTTP_SERVER_ACTIVE)
        self.bounds = [*schema.HTTP_SERVER_DURATION.buckets, float("inf")]
        self._series: dict[tuple[str, str, str], Any] = {}
        self._gauges: dict[str, Any] = {}

    def active(self, method: str) -> Any:
        """The gauge of requests in flight."""
        gauge = self._gauges.get(method)
        if gauge is None:
            gauge = self._gauges[method] = self.gauge(method)._value
        return gauge

    def gauge(self, method: str) -> Any:
        """The same as prometheus_client has it."""
        return self._active.labels(method)

    def series(self, labels: tuple[str, str, str]) -> Any:
        """The histogram of requests with these labels, as prometheus_client has it."""
        return self._duration.labels(*labels)

    def answered(self, labels: tuple[str, str, str], seconds: float, exemplar: dict[str, str] | None) -> None:
        """One request took `seconds`. What the client's `observe()` does, in its own values."""
        child = self._series.get(labels)
        if child is None:
            child = self._series[labels] = self.series(labels)
        bucket, total = child._buckets[bisect_left(self.bounds, seconds)], child._sum
        if not hasattr(total, "_lock"):  # a native one, for who comes in beside the compiled layer
            total.inc(seconds)
            bucket.inc(1)
            if exemplar is not None:
                bucket.set_exemplar(Exemplar(exemplar, seconds, time.time()))
            return
        with total._lock:
            total._value += seconds
        with bucket._lock:
            bucket._value += 1
            if exemplar is not None:
                bucket._exemplar = Exemplar(exemplar, seconds, time.time())
