"""The backend's own metrics. Each process makes its set; nothing is global."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def registry() -> CollectorRegistry:
    """A registry with what prometheus-client tells of the process and of Python."""
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    GCCollector(registry=made)
    return made


class ReceiverMetrics:
    """What the receiver counts. `signal` is `traces` or `logs`, `transport` grpc, http or file."""

    def __init__(self) -> None:
        self.registry = registry()
        self.requests = Counter(
            "dashcam_receiver_requests",
            "OTLP requests answered, by outcome: ok, malformed, too_large, refused or failed.",
            ("transport", "signal", "outcome"),
            registry=self.registry,
        )
        self.records = Counter(
            "dashcam_receiver_records",
            "Spans and log lines: stored, rejected by themselves (bad ids), or refused for want of room.",
            ("signal", "outcome"),
            registry=self.registry,
        )
        self.deleted = Counter(
            "dashcam_store_deleted",
            "Spans and log lines deleted because the store was full or they were old.",
            ("signal", "reason"),
            registry=self.registry,
        )
        self.transaction = Histogram(
            "dashcam_store_transaction_seconds",
            "Duration of a write transaction.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.failures = Counter(
            "dashcam_store_failures",
            "Write transactions that were rolled back.",
            ("error",),
            registry=self.registry,
        )
        self.queue = Gauge(
            "dashcam_receiver_queue_records",
            "Spans and lines waiting for the database.",
            registry=self.registry,
        )
        self.queue_capacity = Gauge(
            "dashcam_receiver_queue_capacity_records",
            "How many spans and lines may wait.",
            registry=self.registry,
        )
        self.used = Gauge("dashcam_store_used_bytes", "Bytes in use in the database.", registry=self.registry)
        self.limit = Gauge(
            "dashcam_store_limit_bytes", "Bytes the database may take on disk.", registry=self.registry
        )
        self.tail_lag = Gauge(
            "dashcam_tail_lag_bytes",
            "Bytes of log files not yet read, of all files.",
            registry=self.registry,
        )


class QueryMetrics:
    """What the query process counts."""

    def __init__(self) -> None:
        self.registry = registry()
        self.duration = Histogram(
            "dashcam_query_duration_seconds",
            "Duration of a query, by endpoint and status code.",
            ("endpoint", "status"),
            buckets=_SECONDS,
            registry=self.registry,
        )
