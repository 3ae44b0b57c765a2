"""The backend's own metrics. Each process makes its set; nothing is global."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from dashcam.store import signals
from observability.schema import Metric


def _registry() -> CollectorRegistry:
    """A registry with what prometheus-client tells of the process and of Python."""
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    GCCollector(registry=made)
    return made


def _made(metric: Metric, registry: CollectorRegistry) -> Any:
    """The client's object of a declared family."""
    if metric.kind == "histogram":
        return Histogram(metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=registry)
    return {"counter": Counter, "gauge": Gauge}[metric.kind](
        metric.name, metric.help, metric.labels, registry=registry
    )


class ReceiverMetrics:
    """What the receiver counts. `signal` is `traces`, `logs` or `metrics`, `transport` grpc or http."""

    def __init__(self) -> None:
        self.registry = _registry()
        self.requests = _made(signals.REQUESTS, self.registry)
        self.records = _made(signals.RECORDS, self.registry)
        self.queue = _made(signals.QUEUE, self.registry)
        self.queue_capacity = _made(signals.QUEUE_CAPACITY, self.registry)
        self.deleted = _made(signals.DELETED, self.registry)
        self.transaction = _made(signals.TRANSACTION, self.registry)
        self.failures = _made(signals.FAILURES, self.registry)
        self.used = _made(signals.USED, self.registry)
        self.limit = _made(signals.LIMIT, self.registry)
        self.series = _made(signals.PUSHED_SERIES, self.registry)
        self.tail_lag = _made(signals.TAIL_LAG, self.registry)


class QueryMetrics:
    """What the query process counts."""

    def __init__(self) -> None:
        self.registry = _registry()
        self.duration = _made(signals.QUERY_DURATION, self.registry)
