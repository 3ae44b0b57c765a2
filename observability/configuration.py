"""The settings of the telemetry itself, as the OpenTelemetry specification names them.

`OTEL_*` variables keep the meaning and the unit of their specification: `OTEL_BSP_*` and
`OTEL_EXPORTER_OTLP_TIMEOUT` are milliseconds. Certificates (`OTEL_EXPORTER_OTLP_CERTIFICATE`,
`..._CLIENT_KEY`, `..._CLIENT_CERTIFICATE`) and proxies are read by the exporter itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from observability.settings import PORT, between, one_of, setting

SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
PROPAGATORS = ("tracecontext", "baggage", "b3", "b3multi", "none")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LEVEL_ALIASES = {"WARN": "WARNING", "FATAL": "CRITICAL"}


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """`key=value,key=value`, values percent-encoded, as the specification writes headers and attributes."""
    pairs = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise ValueError("give key=value pairs separated by commas")
        pairs[key.strip()] = unquote(value.strip())
    return tuple(pairs.items())


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))


def _known_propagators(names: tuple[str, ...]) -> str | None:
    unknown = [name for name in names if name not in PROPAGATORS]
    return f"{unknown[0]!r} is unknown; give some of {', '.join(PROPAGATORS)}" if unknown else None


def _url(text: str) -> str | None:
    parts = urlsplit(text)
    good = parts.scheme in ("http", "https") and parts.hostname
    return None if good else "give a URL such as http://127.0.0.1:4318"


def _level(text: str) -> str:
    name = text.strip().upper()
    return LEVEL_ALIASES.get(name, name)


def _port(text: str) -> int | None:
    """A port number, or None for `none`: no admin port."""
    if text.strip().lower() == "none":
        return None
    try:
        return int(text)
    except ValueError:
        raise ValueError("give a port from 1 to 65535, 0 for any free one, or none") from None


@dataclass(frozen=True)
class TelemetrySettings:
    """What `instrument()` reads. An explicit value beats the environment, which beats the default."""

    service_name: str | None = setting(
        "OTEL_SERVICE_NAME",
        None,
        help="The service's name, where it shall differ from the one the service gives itself.",
    )
    resource_attributes: tuple[tuple[str, str], ...] = setting(
        "OTEL_RESOURCE_ATTRIBUTES",
        (),
        parse=_pairs,
        help="More resource attributes, as key=value,key=value; deployment.environment.name is one of them.",
    )
    revision: str = setting(
        "DASHCAM_REVISION", "unknown", help="The source revision that was built, for dashcam_build_info."
    )
    sdk_disabled: bool = setting(
        "OTEL_SDK_DISABLED",
        False,
        help="true: no spans at all; context is still passed on, metrics and logs stay.",
    )
    instrumentation: str = setting(
        "DASHCAM_INSTRUMENTATION",
        "dashcam",
        check=one_of("dashcam", "python", "official"),
        help="python: without the compiled request path, where there is one; official: "
        "opentelemetry-instrumentation-flask and the SDK's spans, at several times the cost.",
    )
    traces_exporter: str = setting(
        "OTEL_TRACES_EXPORTER",
        "otlp",
        check=one_of("otlp", "none"),
        help="otlp sends spans; none records them for the log lines' ids and sends nothing.",
    )
    endpoint: str = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "http://127.0.0.1:4318",
        check=_url,
        help="Base URL of the OTLP/HTTP receiver; /v1/traces is added to it.",
    )
    traces_endpoint: str | None = setting(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        None,
        check=_url,
        help="Full URL for spans, used as it is, in place of the base URL.",
    )
    headers: tuple[tuple[str, str], ...] = setting(
        "OTEL_EXPORTER_OTLP_HEADERS",
        (),
        parse=_pairs,
        secret=True,
        help="Headers sent with every export, as key=value,key=value; values percent-encoded.",
    )
    compression: str = setting(
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "none",
        check=one_of("none", "gzip", "deflate"),
        help="How an export's body is compressed.",
    )
    export_timeout: int = setting(
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        10_000,
        check=between(1, 600_000),
        help="Milliseconds one export may take, retries included.",
    )
    sampler: str = setting(
        "OTEL_TRACES_SAMPLER",
        "parentbased_always_on",
        check=one_of(*SAMPLERS),
        help="Which traces are recorded, decided when they begin.",
    )
    sampler_ratio: float = setting(
        "OTEL_TRACES_SAMPLER_ARG",
        1.0,
        check=between(0.0, 1.0),
        help="The share of traces that a traceidratio sampler keeps.",
    )
    traces_keep: bool = setting(
        "DASHCAM_TRACES_KEEP",
        True,
        help="Export requests that failed or were slow even where head sampling leaves them out.",
    )
    traces_slow: float = setting(
        "DASHCAM_TRACES_SLOW",
        0.5,
        check=between(0.0, 3600.0),
        help="Seconds from which a request is slow, and kept.",
    )
    trust_incoming: bool = setting(
        "DASHCAM_TRUST_INCOMING",
        True,
        help="Whether the trace context and baggage of callers are believed; off at the edge of a system.",
    )
    propagators: tuple[str, ...] = setting(
        "OTEL_PROPAGATORS",
        ("tracecontext", "baggage"),
        parse=_names,
        check=_known_propagators,
        help="Headers that carry the trace; b3 and b3multi are those of Spring Cloud Sleuth and Zipkin.",
    )
    schedule_delay: int = setting(
        "OTEL_BSP_SCHEDULE_DELAY",
        1_000,
        check=between(1, 600_000),
        help="Milliseconds between two exports while the queue fills slowly.",
    )
    max_queue_size: int = setting(
        "OTEL_BSP_MAX_QUEUE_SIZE",
        2_048,
        check=between(1, 10_000_000),
        help="Spans that may wait; a span that ends while the queue is full is dropped and counted.",
    )
    max_batch_size: int = setting(
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        512,
        check=between(1, 1_000_000),
        help="Spans in one export.",
    )
    shutdown_timeout: float = setting(
        "DASHCAM_SHUTDOWN_TIMEOUT",
        5.0,
        check=between(0.0, 600.0),
        help="Seconds that flushing may take when the process ends; keep it below the grace period.",
    )
    admin_host: str = setting(
        "OTEL_EXPORTER_PROMETHEUS_HOST",
        "127.0.0.1",
        help="Address of the admin port; 0.0.0.0 in a container.",
    )
    admin_port: int | None = setting(
        "OTEL_EXPORTER_PROMETHEUS_PORT",
        9464,
        parse=_port,
        check=PORT,
        help="The admin port: /metrics, /livez and /readyz. 0 takes any free port, none opens no port.",
    )
    ready_timeout: float = setting(
        "DASHCAM_READY_TIMEOUT",
        2.0,
        check=between(0.01, 60.0),
        help="Seconds one dependency may take to answer a readiness check.",
    )
    ready_cache: float = setting(
        "DASHCAM_READY_CACHE",
        1.0,
        check=between(0.0, 60.0),
        help="Seconds a readiness result is used again before the dependencies are asked anew.",
    )
    log_level: str = setting(
        "LOG_LEVEL",
        "INFO",
        parse=_level,
        check=one_of(*LEVELS),
        help="The least severity that is logged.",
    )
    log_format: str = setting(
        "LOG_FORMAT",
        "auto",
        check=one_of("auto", "json", "console"),
        help="json lines or readable console lines; auto is console on a terminal and json elsewhere.",
    )
    log_buffer: int = setting(
        "DASHCAM_LOG_BUFFER",
        8 * 1024 * 1024,
        check=between(0, 1 << 40),
        help="Bytes of log lines that may wait for a slow reader of stdout; a line beyond is lost, counted.",
    )
    no_color: bool = setting(
        "NO_COLOR",
        False,
        parse=lambda text: True,
        help="Any value: console lines without colours (https://no-color.org).",
    )
    workers: int = setting(
        "WEB_CONCURRENCY",
        1,
        check=between(1, 512),
        help="Worker processes of the server.",
    )
    worker: str | None = setting(
        "DASHCAM_WORKER",
        None,
        help="Set by the server in each worker process, not by you: its number, for the worker label.",
    )
    run_dir: str | None = setting(
        "DASHCAM_RUN_DIR",
        None,
        help="Folder where a service's workers meet; a private one in the temporary folder by default.",
    )

    @property
    def spans_url(self) -> str:
        """Where spans are sent."""
        return self.traces_endpoint or f"{self.endpoint.rstrip('/')}/v1/traces"
