"""Every metric, span attribute and log field that the library itself emits, declared before it is emitted.

A service declares its own beside its code, as :class:`Signals` made of the same parts, and
`observability.testing.undeclared` holds both to what is emitted (services/car/signals.py is an example).
Nothing has to be declared to arrive: what a user's own code measures, traces and logs is his.

Names follow the OpenTelemetry semantic conventions; metrics are in their Prometheus spelling
(dots become underscores, the unit is a suffix, a counter ends in `_total`). A contract test compares
what is emitted with what is declared here; dashboards, rules and diagnosis use only declared names. What
`prometheus-client` itself adds (`process_*`, `python_*`) is listed in :data:`RUNTIME`, because its names are
the client's, not ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram", "info"]

CONVENTIONS = "https://opentelemetry.io/schemas/1.44.0"
"""The version of the semantic conventions that the names are of; what we emit says so (its schema URL)."""

UNMATCHED_ROUTE = "unmatched"
"""The one `http_route` value of every request that no route answers."""

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds. The boundaries that the HTTP semantic conventions advise."""

DB_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""Seconds. The boundaries that the database semantic conventions advise."""


@dataclass(frozen=True)
class Metric:
    """One metric family. `name` is the family's name without `_total`, `_bucket`, `_sum` or `_count`."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()
    across: Literal["sum", "min", "max"] = "sum"
    """How the values of a gauge in several worker processes become one."""

    @property
    def sample(self) -> str:
        """The name to query: `_total` ends a counter's, `_count` a histogram's, `_info` an info's."""
        suffix = {"counter": "_total", "histogram": "_count", "info": "_info", "gauge": ""}
        return self.name + suffix[self.kind]


# -- HTTP and database, by the semantic conventions ---------------------------------------------

HTTP_SERVER_DURATION = Metric(
    "http_server_request_duration_seconds",
    "histogram",
    "Duration of HTTP server requests.",
    ("http_request_method", "http_route", "http_response_status_code"),
    "s",
    LATENCY_BUCKETS,
)
HTTP_SERVER_ACTIVE = Metric(
    "http_server_active_requests",
    "gauge",
    "HTTP server requests in flight.",
    ("http_request_method",),
    "{request}",
)
HTTP_CLIENT_DURATION = Metric(
    "http_client_request_duration_seconds",
    "histogram",
    "Duration of HTTP client requests; error_type names what kept an answer from coming.",
    ("http_request_method", "server_address", "server_port", "http_response_status_code", "error_type"),
    "s",
    LATENCY_BUCKETS,
)
DB_CLIENT_DURATION = Metric(
    "db_client_operation_duration_seconds",
    "histogram",
    "Duration of database client operations.",
    ("db_system_name", "db_operation_name", "db_collection_name", "error_type"),
    "s",
    DB_BUCKETS,
)

# -- the service ---------------------------------------------------------------------------------

TARGET = Metric(
    "target",
    "info",
    "The resource attributes of this target (OpenTelemetry, Prometheus compatibility).",
    ("service_name", "service_version", "service_instance_id", "deployment_environment_name"),
)
BUILD = Metric("dashcam_build", "info", "What was built: version and revision.", ("version", "revision"))
SERVER_THREADS = Metric(
    "dashcam_server_threads",
    "gauge",
    "Threads that can answer requests; active requests over this is the saturation.",
    unit="{thread}",
)
LOG_RECORDS = Metric("log_records", "counter", "Log lines written, by severity.", ("severity",), "{record}")
LOG_RECORDS_LOST = Metric(
    "log_records_lost",
    "counter",
    "Log lines that could not be written to stdout.",
    ("error_type",),
    "{record}",
)
DEPENDENCY_UP = Metric(
    "dashcam_dependency_up",
    "gauge",
    "1 while a dependency is there, 0 while it is away, by its readiness check or by who speaks to it.",
    ("dependency",),
    across="min",
)
CIRCUIT_OPEN = Metric(
    "dashcam_circuit_open",
    "gauge",
    "1 while calls to a dependency are refused because it kept failing, else 0.",
    ("dependency",),
    across="max",
)

# -- the telemetry's own, by the semantic conventions for SDKs ------------------------------------

SPAN_QUEUE_SIZE = Metric(
    "otel_sdk_processor_span_queue_size", "gauge", "Spans waiting for export.", unit="{span}"
)
SPAN_QUEUE_CAPACITY = Metric(
    "otel_sdk_processor_span_queue_capacity", "gauge", "Spans the queue can hold.", unit="{span}"
)
SPANS_PROCESSED = Metric(
    "otel_sdk_processor_span_processed",
    "counter",
    "Spans that left the processor; error_type says why one was dropped (queue_full, already_shutdown, ...).",
    ("error_type",),
    "{span}",
)
SPANS_EXPORTED = Metric(
    "otel_sdk_exporter_span_exported",
    "counter",
    "Spans whose export ended; error_type names why it failed and is empty where it did not.",
    ("error_type",),
    "{span}",
)
EXPORT_DURATION = Metric(
    "otel_sdk_exporter_operation_duration_seconds",
    "histogram",
    "Duration of export requests.",
    ("error_type",),
    "s",
    LATENCY_BUCKETS,
)
TRACES_KEPT = Metric(
    "dashcam_traces_kept",
    "counter",
    "Requests that head sampling left out, exported after all, by reason: error, slow, downstream.",
    ("reason",),
    "{trace}",
)

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""Every declared metric family, in the order of this page."""

RUNTIME = ("process_", "python_")
"""Prefixes of the families that prometheus-client's own collectors add."""

# -- log fields and span attributes ---------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """One key of a log line or of a span. `type` is string, int, double or object."""

    name: str
    type: Literal["string", "int", "double", "object"]
    help: str


LOG_FIELDS = (
    Field("timestamp", "string", "When it was logged: RFC 3339, UTC, microseconds, Z."),
    Field("severity", "string", "DEBUG, INFO, WARN, ERROR or FATAL."),
    Field("message", "string", "What happened, for a reader."),
    Field("service", "string", "The service's name, the same as the `job` of its metrics."),
    Field("trace_id", "string", "32 hexadecimal digits; missing outside a trace."),
    Field("span_id", "string", "16 hexadecimal digits; missing outside a trace."),
    Field("logger", "string", "The name of the Python logger."),
    Field("http.request.method", "string", "The request's method; _OTHER when it is none of the known ones."),
    Field("http.route", "string", "The route that answers; `unmatched` when none does."),
    Field("url.path", "string", "The path as it was asked for, at most 1,024 characters."),
    Field("url.query", "string", "The query as it was asked for, secrets hidden, at most 1,024 characters."),
    Field("http.response.status_code", "int", "The response's status."),
    Field("http.response.body.size", "int", "Bytes of the response's body that were handed to the server."),
    Field("http.server.request.duration", "double", "Seconds from the request's arrival to the body's end."),
    Field("client.address", "string", "The peer's address; a proxy's, where there is one."),
    Field("user_agent.original", "string", "The User-Agent header, at most 256 characters."),
    Field("exception.type", "string", "The exception's class, with its module."),
    Field("exception.message", "string", "The exception's text."),
    Field("exception.stacktrace", "string", "The traceback, its lines in one text."),
    Field("code.stacktrace", "string", "Where a line was logged from, when `stack_info` was asked for."),
    Field("server.address", "string", "The host that a client called."),
    Field("error.type", "string", "What kind of error it was: an exception's class or a status code."),
    Field("dependency", "string", "The dependency that a line is about, named as on /readyz."),
    Field("extra", "object", "What a library or the code attached under names that are not declared here."),
)
"""Every top-level key of a log line; other keys of `extra=` go below the key `extra`."""

SAMPLED_BY = "dashcam.sampled.by"

SPAN_ATTRIBUTES = (
    Field("db.system.name", "string", "The database product: sqlite, postgresql, ..."),
    Field("db.namespace", "string", "The database's name; a file's name without its folders for SQLite."),
    Field("db.operation.name", "string", "The statement's verb: SELECT, INSERT, ..."),
    Field("db.collection.name", "string", "The first table the statement names."),
    Field("db.query.text", "string", "The statement with its placeholders, never with values."),
    Field("db.query.summary", "string", "Verb and table, which also name the span."),
    Field(
        "db.response.status_code", "string", "The database's own error code (SQLSTATE) where it gives one."
    ),
    Field("server.address", "string", "The database's host."),
    Field("server.port", "int", "The database's port."),
    Field("error.type", "string", "What failed: an exception's class or a status code."),
    Field(
        SAMPLED_BY,
        "string",
        "Why a span is there that head sampling left out: error, slow, downstream. Missing on all others.",
    ),
)
"""The span attributes that Dashcam itself sets; those of the official instrumentations come on top."""


@dataclass(frozen=True)
class Signals:
    """What somebody emits: metrics, log fields (given as `extra=`) and span attributes that are theirs."""

    metrics: tuple[Metric, ...] = ()
    log_fields: tuple[Field, ...] = ()
    span_attributes: tuple[Field, ...] = ()


OWN = Signals(METRICS, LOG_FIELDS, SPAN_ATTRIBUTES)
"""The library's."""
