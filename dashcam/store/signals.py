"""The metrics that the two processes of the backend expose, declared before they are emitted."""

from __future__ import annotations

from observability.schema import Metric

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS = Metric(
    "dashcam_receiver_requests",
    "counter",
    "OTLP requests answered, by outcome: ok, malformed, too_large, refused or failed.",
    ("transport", "signal", "outcome"),
    "{request}",
)
RECORDS = Metric(
    "dashcam_receiver_records",
    "counter",
    "Spans, lines and points: stored, rejected for what they are, or refused for want of room.",
    ("signal", "outcome"),
    "{record}",
)
QUEUE = Metric(
    "dashcam_receiver_queue_records",
    "gauge",
    "Spans and lines waiting for the database.",
    unit="{record}",
)
QUEUE_CAPACITY = Metric(
    "dashcam_receiver_queue_capacity_records", "gauge", "How many spans and lines may wait.", unit="{record}"
)
DELETED = Metric(
    "dashcam_store_deleted",
    "counter",
    "Spans and log lines deleted because the store was full (size) or they were old (age).",
    ("signal", "reason"),
    "{record}",
)
TRANSACTION = Metric(
    "dashcam_store_transaction_seconds", "histogram", "Duration of a write transaction.", (), "s", _SECONDS
)
FAILURES = Metric(
    "dashcam_store_failures", "counter", "Write transactions that were rolled back.", ("error_type",)
)
USED = Metric("dashcam_store_used_bytes", "gauge", "Bytes in use in the database.", unit="By")
LIMIT = Metric("dashcam_store_limit_bytes", "gauge", "Bytes the database may take on disk.", unit="By")
TAIL_LAG = Metric("dashcam_tail_lag_bytes", "gauge", "Bytes of log files that are not yet read.", unit="By")
PUSHED_SERIES = Metric(
    "dashcam_receiver_pushed_series", "gauge", "Samples held of metrics pushed over OTLP.", unit="{series}"
)
QUERY_DURATION = Metric(
    "dashcam_query_duration_seconds",
    "histogram",
    "Duration of a query, by endpoint and status code.",
    ("endpoint", "status"),
    "s",
    _SECONDS,
)

METRICS = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""Every family of the receiver and the query process."""
