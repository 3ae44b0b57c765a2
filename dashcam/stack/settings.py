"""The settings of the local stack: one folder of state, one variable for every port, the traffic."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dashcam.registry import catalogue
from dashcam.registry.catalogue import CatalogueError, Service
from observability.settings import PORT, SettingError, between, from_environ, one_of, setting

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

_UNSPEAKABLE = frozenset('"\\\n\r')


def _check_folder(path: Path) -> str | None:
    # The folder's name goes through supervisord's configuration, which has no way to write these.
    found = _UNSPEAKABLE & set(str(path))
    return "give a folder without quotes, backslashes or line ends in its name" if found else None


def _matching(pattern: str, complaint: str) -> Callable[[str], str | None]:
    return lambda text: None if re.fullmatch(pattern, text) else complaint


_DURATION = _matching(r"([0-9]+(y|w|d|h|m|s|ms))+", "give a duration such as 36h or 7d")
_SIZE = _matching(r"[0-9]+(B|KB|MB|GB|TB)", "give a size such as 512MB or 2GB")


EMBEDDED, JAEGER = "embedded", "jaeger"
"""What takes in and finds the traces: our own backend, or the Collector and Jaeger."""


def _for_jaeger(env: str, default: int, of: str) -> Any:
    return setting(env, default, check=PORT, help=f"With BACKEND=jaeger: port of {of}.")


@dataclass(frozen=True)
class Settings:
    """What `make up` reads. Every port listens on 127.0.0.1 only; 0 takes a free one.

    The ports of the services are fields, too: see :func:`with_services`.
    """

    state_dir: Path = setting(  # noqa: RUF009 - it answers a dataclass field, as for the others
        "DASHCAM_STATE_DIR",
        Path(".dashcam"),
        parse=Path,
        check=_check_folder,
        help="Folder of everything a running stack keeps; relative to the checkout.",
    )
    backend: str = setting(
        "BACKEND",
        EMBEDDED,
        check=one_of(EMBEDDED, JAEGER),
        help="What takes in and finds traces: `embedded`, or `jaeger` for the Collector and Jaeger.",
    )
    otlp_grpc_port: int = setting("OTLP_GRPC_PORT", 4317, check=PORT, help="Port that takes OTLP over gRPC.")
    otlp_http_port: int = setting("OTLP_HTTP_PORT", 4318, check=PORT, help="Port that takes OTLP over HTTP.")
    console_port: int = setting(
        "CONSOLE_PORT", 16686, check=PORT, help="Port of the console, Jaeger's query API and /api/logs."
    )
    prometheus_port: int = setting("PROMETHEUS_PORT", 9090, check=PORT, help="Port of Prometheus.")
    alertmanager_port: int = setting("ALERTMANAGER_PORT", 9093, check=PORT, help="Port of Alertmanager.")
    nats_port: int = setting("NATS_PORT", 4222, check=PORT, help="Port of the message broker, NATS.")
    jaeger_port: int = _for_jaeger("JAEGER_PORT", 16687, "Jaeger's own query API and pages")
    jaeger_grpc_port: int = _for_jaeger("JAEGER_GRPC_PORT", 16685, "Jaeger's query API over gRPC")
    jaeger_otlp_port: int = _for_jaeger(
        "JAEGER_OTLP_PORT", 14317, "OTLP over gRPC from the Collector to Jaeger"
    )
    jaeger_metrics_port: int = _for_jaeger("JAEGER_METRICS_PORT", 8887, "Jaeger's metrics")
    jaeger_health_port: int = _for_jaeger("JAEGER_HEALTH_PORT", 13134, "Jaeger's health")
    collector_metrics_port: int = _for_jaeger("COLLECTOR_METRICS_PORT", 8888, "the Collector's metrics")
    collector_spans_port: int = _for_jaeger(
        "COLLECTOR_SPANS_PORT", 8889, "the metrics that the Collector makes of spans"
    )
    collector_health_port: int = _for_jaeger("COLLECTOR_HEALTH_PORT", 13133, "the Collector's health")
    log_receiver_port: int = _for_jaeger(
        "LOG_RECEIVER_PORT", 14318, "the embedded receiver, which then takes no spans"
    )
    log_receiver_grpc_port: int = _for_jaeger(
        "LOG_RECEIVER_GRPC_PORT",
        14316,
        "OTLP over gRPC from the Collector to that receiver: metrics and logs",
    )
    traffic: bool = setting("TRAFFIC", True, help="Whether example traffic runs: on or off.")
    traffic_orders: bool = setting(
        "TRAFFIC_ORDERS", True, help="Whether the example traffic orders cars too: on or off."
    )
    traffic_rate: float = setting(
        "TRAFFIC_RATE",
        3.0,
        check=between(0.1, 100),
        help="Requests a second that the example traffic sends, about.",
    )
    prometheus_retention_time: str = setting(
        "PROMETHEUS_RETENTION_TIME",
        "7d",
        check=_DURATION,
        help="Age at which Prometheus deletes what it has stored.",
    )
    prometheus_retention_size: str = setting(
        "PROMETHEUS_RETENTION_SIZE",
        "512MB",
        check=_SIZE,
        help="Size at which Prometheus deletes its oldest data.",
    )
    own_file: Path | None = setting(  # noqa: RUF009 - as above
        "DASHCAM_FILE",
        None,
        parse=Path,
        help="A dashcam.toml of programs, targets and log files to take along; `dashcam up -f` sets it.",
    )
    start_timeout: float = setting(
        "STACK_START_TIMEOUT",
        120.0,
        check=between(1, 3600),
        help="Seconds that `make up` waits for every part to be ready before it gives up.",
    )

    def port(self, service: str) -> int:
        """Where a service of the catalogue listens."""
        return int(getattr(self, f"{service}_port"))

    def admin_port(self, service: str) -> int:
        """Where a service of the catalogue answers for its readiness and metrics."""
        return int(getattr(self, f"{service}_admin_port"))

    @property
    def receiver_port(self) -> int:
        """Where the embedded receiver answers for its readiness and metrics."""
        return self.log_receiver_port if self.backend == JAEGER else self.otlp_http_port

    def ports(self) -> dict[str, int | None]:
        """Every port that something listens on under these settings, by the name of its variable."""
        fields = {field.name: field.metadata["env"] for field in dataclasses.fields(self)}
        unused = () if self.backend == JAEGER else JAEGER_PORTS
        return {
            env: getattr(self, name)
            for name, env in fields.items()
            if name.endswith("_port") and name not in unused
        }

    def as_environ(self) -> dict[str, str]:
        """The settings as environment variables; reading them back gives equal settings."""
        values = {field.metadata["env"]: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {env: _as_text(value) for env, value in values.items() if value is not None}


JAEGER_PORTS = frozenset(
    field.name
    for field in dataclasses.fields(Settings)
    if field.name.startswith(("jaeger_", "collector_", "log_receiver_"))
)


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@cache
def with_services(services: tuple[Service, ...]) -> type[Settings]:
    """The settings with two fields for each service: `orders_port` (ORDERS_PORT) and `orders_admin_port`."""
    fields: list[tuple[str, Any, Any]] = []
    for service in services:
        name = service.name
        variable, above = name.upper(), service.admin_port - service.port
        text = f"Port of {name}'s /metrics, /livez and /readyz; {variable}_PORT + {above} by default."
        ports = setting(f"{variable}_PORT", service.port, check=PORT, help=f"Port of {name}.")
        fields.append((f"{name}_port", int, ports))
        fields.append(
            (f"{name}_admin_port", int | None, setting(f"{variable}_ADMIN_PORT", None, check=PORT, help=text))
        )
    made = dataclasses.make_dataclass("Settings", fields, bases=(Settings,), frozen=True)
    made.__module__, made.__doc__ = Settings.__module__, Settings.__doc__
    return made


def read(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """The settings of the environment, with the folder absolute and the admin ports filled in.

    Raises SettingError for a value that cannot be used, for two variables that name one port, and for a
    catalogue of services that cannot be used.
    """
    try:
        services = catalogue.load().services
    except CatalogueError as error:
        raise SettingError(str(error)) from None
    settings = from_environ(with_services(services), environ, **overrides)
    filled: dict[str, Any] = {"state_dir": (ROOT / settings.state_dir.expanduser()).resolve()}
    for service in services:
        if getattr(settings, f"{service.name}_admin_port") is None:
            filled[f"{service.name}_admin_port"] = _default_admin_port(service, settings.port(service.name))
    if settings.own_file:
        filled["own_file"] = settings.own_file.expanduser().resolve()
    settings = dataclasses.replace(settings, **filled)
    if complaint := _check_folder(settings.state_dir):
        raise SettingError(f"DASHCAM_STATE_DIR={str(settings.state_dir)!r} cannot be used: {complaint}")
    _refuse_duplicates(settings)
    return settings


def _default_admin_port(service: Service, port: int) -> int:
    above = service.admin_port - service.port
    if port == 0:
        return 0
    if not 0 < port + above <= 65535:
        name = service.name.upper()
        raise SettingError(
            f"{name}_PORT={port} leaves no port for its admin side ({port} + {above} is above 65535): "
            f"set {name}_ADMIN_PORT too"
        )
    return port + above


def _refuse_duplicates(settings: Settings) -> None:
    users: dict[int, list[str]] = {}
    for variable, port in settings.ports().items():
        if port:
            users.setdefault(port, []).append(variable)
    if shared := [
        f"{' and '.join(names)} are both {port}" for port, names in users.items() if len(names) > 1
    ]:
        raise SettingError(f"{'; '.join(shared)}: give each a port of its own")
