"""The settings of the embedded backend's two processes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dashcam.host_guard import further_names
from observability.settings import PORT, between, setting

MIB = 1024 * 1024


def _address(value: str) -> str | None:
    good = value.startswith(("http://", "https://")) and len(value) > len("https://")
    return None if good else "give an address like http://127.0.0.1:16687"


def words(text: str) -> tuple[str, ...]:
    """The words between commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _log_files(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [part.partition("=") for part in text.split(";") if part]
    if not all(service and pattern for service, _, pattern in pairs):
        raise ValueError("give SERVICE=PATTERN, separated by `;`")
    return tuple((service, pattern) for service, _, pattern in pairs)


def _origins(origins: tuple[str, ...]) -> str | None:
    good = all(re.fullmatch(r"https?://[^/\s*]+", origin) for origin in origins)
    return None if good else "give origins like http://localhost:5000, without a path and without *"


@dataclass(frozen=True)
class LocalSettings:
    """Receiver and query process read the same settings, because they share one database."""

    state_dir: Path = setting(  # noqa: RUF009 - declares a default, makes no shared object
        "DASHCAM_STATE_DIR",
        Path(".dashcam"),
        parse=Path,
        help="Folder of everything the local stack writes: log files, database, metrics.",
    )
    host: str = setting(
        "DASHCAM_BACKEND_HOST",
        "127.0.0.1",
        help="Address the embedded backend listens on. It has no accounts.",
    )
    allowed_hosts: tuple[str, ...] = further_names()
    otlp_grpc_port: int = setting("OTLP_GRPC_PORT", 4317, check=PORT, help="Port of OTLP over gRPC.")
    otlp_http_port: int = setting(
        "OTLP_HTTP_PORT", 4318, check=PORT, help="Port of OTLP over HTTP, and of the receiver's own metrics."
    )
    console_port: int = setting(
        "CONSOLE_PORT", 16686, check=PORT, help="Port of the query API and the console."
    )
    takes_spans: bool = setting(
        "DASHCAM_RECEIVER_SPANS",
        True,
        help="Whether the receiver takes spans. Off, it takes metrics and log lines: spans go to a Jaeger.",
    )
    jaeger_url: str | None = setting(
        "DASHCAM_JAEGER_URL",
        None,
        check=_address,
        help="A Jaeger that the query API is passed on to, in place of the own store's traces.",
    )
    store_max_mib: int = setting(
        "DASHCAM_STORE_MAX_MIB",
        1024,
        check=between(64, 1024 * 1024),
        help="Bound of the database on disk in MiB; the oldest spans and lines go first.",
    )
    store_max_hours: float = setting(
        "DASHCAM_STORE_MAX_HOURS",
        72.0,
        check=between(0.001, 24 * 366),
        help="Spans and lines received longer ago than this many hours are deleted.",
    )
    max_request_mib: int = setting(
        "OTLP_MAX_REQUEST_MIB",
        16,
        check=between(1, 256),
        help="Largest OTLP request in MiB, before and after decompression.",
    )
    queue_records: int = setting(
        "DASHCAM_QUEUE_RECORDS",
        50_000,
        check=between(100, 1_000_000),
        help="Spans and lines that may wait for the database; above it OTLP senders are told to retry later.",
    )
    tail_seconds: float = setting(
        "DASHCAM_TAIL_SECONDS",
        0.25,
        check=between(0.01, 60),
        help="Seconds between two looks at the log files.",
    )
    metrics_max_series: int = setting(
        "OTLP_METRICS_MAX_SERIES",
        20_000,
        check=between(100, 1_000_000),
        help="Samples held of the metrics pushed over OTLP; points of new series beyond are refused.",
    )
    metrics_expire_seconds: float = setting(
        "OTLP_METRICS_EXPIRE_SECONDS",
        300.0,
        check=between(1, 86_400),
        help="Seconds after which a pushed series that does not come any more is forgotten.",
    )
    promoted_attributes: tuple[str, ...] = setting(
        "OTLP_PROMOTED_RESOURCE_ATTRIBUTES",
        (),
        parse=words,
        help="Resource attributes, separated by commas, that become labels of every pushed metric.",
    )
    translate_conventions: bool = setting(
        "OTLP_TRANSLATE_OLD_CONVENTIONS",
        True,
        help="Whether pushed HTTP metrics by the conventions before the stable ones get the stable names.",
    )
    cors_origins: tuple[str, ...] = setting(
        "OTLP_CORS_ORIGINS",
        (),
        parse=words,
        check=_origins,
        help="Origins of pages, separated by commas, whose browsers may send OTLP/HTTP. None by default.",
    )
    log_files: tuple[tuple[str, str], ...] = setting(
        "DASHCAM_LOG_FILES",
        (),
        parse=_log_files,
        help="Further log files to follow, as SERVICE=PATTERN separated by `;`. A dashcam.toml sets it.",
    )
    query_threads: int = setting(
        "DASHCAM_QUERY_THREADS",
        4,
        check=between(1, 64),
        help="Queries that the query process answers at a time.",
    )

    @property
    def database(self) -> Path:
        """The one database file."""
        return self.state_dir / "backend" / "backend.sqlite3"

    @property
    def log_dir(self) -> Path:
        """The folder whose `*.log` files are tailed."""
        return self.state_dir / "logs"
