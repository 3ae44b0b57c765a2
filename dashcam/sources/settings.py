"""Where the sources are: addresses and time limits, by setting."""

from __future__ import annotations

from dataclasses import dataclass

from observability.settings import PORT, between, one_of, setting


def _address(value: str) -> str | None:
    good = value.startswith(("http://", "https://")) and len(value) > len("https://")
    return None if good else "give an address like http://127.0.0.1:16686"


@dataclass(frozen=True)
class SourceSettings:
    """Where the console, the command line and the diagnosis find the sources. What is left out is local."""

    console_port: int = setting(
        "CONSOLE_PORT", 16686, check=PORT, help="Port of Jaeger's query API, the log search and the console."
    )
    prometheus_port: int = setting("PROMETHEUS_PORT", 9090, check=PORT, help="Port of the local Prometheus.")
    alertmanager_port: int = setting(
        "ALERTMANAGER_PORT", 9093, check=PORT, help="Port of the local Alertmanager."
    )
    jaeger_query_url: str | None = setting(
        "JAEGER_QUERY_URL",
        None,
        check=_address,
        help="Jaeger's query API. Default: http://127.0.0.1:{CONSOLE_PORT}, the embedded backend.",
    )
    prometheus_url: str | None = setting(
        "PROMETHEUS_URL",
        None,
        check=_address,
        help="Prometheus' HTTP API. Default: http://127.0.0.1:{PROMETHEUS_PORT}.",
    )
    alertmanager_url: str | None = setting(
        "ALERTMANAGER_URL",
        None,
        check=_address,
        help="Alertmanager, linked to from the alerts. Default: http://127.0.0.1:{ALERTMANAGER_PORT}.",
    )
    logs_kind: str = setting(
        "LOGS_KIND",
        "embedded",
        check=one_of("embedded", "elasticsearch"),
        help="Which log search answers at LOGS_URL: embedded (/api/logs) or elasticsearch.",
    )
    logs_url: str | None = setting(
        "LOGS_URL",
        None,
        check=_address,
        help="The log search. Default: JAEGER_QUERY_URL's, or http://127.0.0.1:9200 for elasticsearch.",
    )
    logs_index: str = setting(
        "ELASTICSEARCH_INDEX",
        "logs-dashcam-services",
        help="Index, data stream or pattern that holds the log lines.",
    )
    logs_time_field: str = setting(
        "ELASTICSEARCH_TIME_FIELD",
        "timestamp",
        help="The date that lines are sorted by: the service's timestamp, or @timestamp for lines of others.",
    )
    logs_authorization: str | None = setting(
        "ELASTICSEARCH_AUTHORIZATION",
        None,
        secret=True,
        help="Authorization header for Elasticsearch, such as `ApiKey …` or `Basic …`.",
    )
    source_timeout: float = setting(
        "SOURCE_TIMEOUT", 5.0, check=between(0.1, 120), help="Seconds that a source has to answer."
    )

    @property
    def jaeger_address(self) -> str:
        return (self.jaeger_query_url or f"http://127.0.0.1:{self.console_port}").rstrip("/")

    @property
    def prometheus_address(self) -> str:
        return (self.prometheus_url or f"http://127.0.0.1:{self.prometheus_port}").rstrip("/")

    @property
    def alertmanager_address(self) -> str:
        return (self.alertmanager_url or f"http://127.0.0.1:{self.alertmanager_port}").rstrip("/")

    @property
    def logs_address(self) -> str:
        if self.logs_url:
            return self.logs_url.rstrip("/")
        return "http://127.0.0.1:9200" if self.logs_kind == "elasticsearch" else self.jaeger_address
