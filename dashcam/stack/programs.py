"""What runs: each program's command, its environment, and how one knows that it is ready."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import Template

from dashcam.registry import catalogue
from dashcam.registry.catalogue import Service
from dashcam.stack import generated_file, jaeger, own_file, scrape_targets, stand_ins, tools
from dashcam.stack.needs import ALERTMANAGER, NATS, PROMETHEUS, Need
from dashcam.stack.page_origins import page_origins
from dashcam.stack.settings import JAEGER, ROOT, Settings
from observability.server.options import ServerSettings
from observability.settings import from_environ

HERE = Path(__file__).parent
LOOPBACK = "127.0.0.1"

BACKEND, SERVICES, TRAFFIC = "backend", "services", "traffic"
GROUPS = (BACKEND, SERVICES, TRAFFIC)
"""The order of starting. Stopping is the reverse, so that what the services flush at the end is taken in."""


class MissingProgram(RuntimeError):
    """A binary that the stack runs is not on this machine."""


@dataclass(frozen=True)
class Program:
    """One supervised process.

    `ready` is the URL that answers 200 once it works; without one, running is being ready. `listens` are
    ports that must accept a connection too, because another than the one of `ready` does the work.
    `address` is where a person finds it. `stop_seconds` is how long it may take to end after SIGTERM.
    """

    name: str
    group: str
    command: tuple[str, ...]
    environ: dict[str, str] = field(default_factory=dict)
    ready: str | None = None
    listens: tuple[int, ...] = ()
    address: str = ""
    about: str = ""
    stop_seconds: int = 20


def programs(settings: Settings) -> list[Program]:
    """Everything that `make up` starts under `settings`, in the order it is shown."""
    parts = [*_services(settings), *_backend(settings), *_metrics(settings), *_broker(settings)]
    parts += _own(settings, [part.name for part in parts])
    return [*parts, _traffic(settings, parts)] if settings.traffic else parts


def common_environ(settings: Settings) -> dict[str, str]:
    """What every program finds in its environment beside its own: where the others are."""
    followed = own_file.read_file(settings.own_file).logs if settings.own_file else ()
    return {
        **settings.as_environ(),
        "DASHCAM_LOG_FILES": ";".join(f"{service}={pattern}" for service, pattern in followed),
        "HOST": LOOPBACK,
        "OTEL_EXPORTER_PROMETHEUS_HOST": LOOPBACK,
        "OTEL_EXPORTER_OTLP_ENDPOINT": url(settings.otlp_http_port),
        **{f"{name.upper()}_URL": url(port) for name, port in stand_ins.ports(settings).items()},
        "NATS_URL": f"nats://{LOOPBACK}:{settings.nats_port}",
        "CONSOLE_URL": url(settings.console_port),
        "BROWSER_OTLP_URL": url(settings.otlp_http_port),
        "PROMETHEUS_URL": url(settings.prometheus_port),
        "ALERTMANAGER_URL": url(settings.alertmanager_port),
        # Faults may be switched on here, where nobody but the one who looks is hurt.
        "DASHCAM_FAULTS_FILE": str(settings.state_dir / "faults.json"),
    }


def url(port: int | None, path: str = "") -> str:
    """The address of a port of this machine; numeric, since `localhost` may mean ::1 first."""
    return f"http://{LOOPBACK}:{port}{path}"


def write_configurations(settings: Settings) -> list[str]:
    """Write what Prometheus and Alertmanager read into the state folder; answers what to tell a person.

    The rules and the routing come from dashboards/generated where that exists. Raises BadFile.
    """
    rules = str(ROOT / "dashboards" / "generated" / "rules" / "*.yml")
    template = Template((HERE / "prometheus.yml").read_text())
    # A JSON string is a YAML string, whatever the checkout's path holds.
    filled = template.substitute(
        settings.as_environ(),
        receiver_port=settings.receiver_port,
        services=stand_ins.scrape_configs(settings),
        rules=json.dumps(rules, ensure_ascii=False),
    )
    told = generated_file.write(settings.state_dir / "prometheus" / "prometheus.yml", filled)
    scrape_targets.prepare(settings.state_dir)
    if settings.own_file:
        targets = own_file.read_file(settings.own_file).targets
        scrape_targets.write(settings.state_dir, "dashcam-toml", targets)
    generated = ROOT / "dashboards" / "generated" / "alertmanager.yml"
    routing = generated if generated.exists() else HERE / "alertmanager.yml"
    told += generated_file.write(
        settings.state_dir / "alertmanager" / "alertmanager.yml", routing.read_text()
    )
    if settings.backend == JAEGER:
        jaeger.write_configurations(settings)
        ports = {
            "collector": (settings.collector_metrics_port, settings.collector_spans_port),
            "jaeger": (settings.jaeger_metrics_port,),
        }
        groups = [(job, [jaeger.at(port) for port in each]) for job, each in ports.items()]
        scrape_targets.write(settings.state_dir, "jaeger", groups)
    return told


def _services(settings: Settings) -> list[Program]:
    replaced = stand_ins.stand_ins(settings)
    services = [_service(settings, each) for each in catalogue.load().services]
    own = [
        replace(each, name=replaced[each.name].name, command=stand_ins.command(settings, replaced[each.name]))
        for each in services
        if each.name in replaced and each.name == replaced[each.name].replaces[0]
    ]
    return [each for each in services if each.name not in replaced] + own


def _service(settings: Settings, service: Service) -> Program:
    name = service.name
    port, admin = settings.port(name), settings.admin_port(name)
    return Program(
        name,
        SERVICES,
        (sys.executable, "-m", f"services.{name}"),
        {"PORT": str(port), "OTEL_EXPORTER_PROMETHEUS_PORT": str(admin)},
        ready=url(admin, "/readyz"),
        listens=(port,),
        address=url(port, service.home),
        about=f"{service.description.removesuffix('.')}; admin port {admin}",
        # Longer than the service itself promises to take: killing it is for one that hangs.
        stop_seconds=math.ceil(from_environ(ServerSettings).bound) + 3,
    )


def _broker(settings: Settings) -> list[Program]:
    """What carries the messages, where services of the catalogue send some."""
    if not any(resource.type == "message-broker" for resource in catalogue.load().resources):
        return []
    command = (_binary(NATS), "--addr", LOOPBACK, "--port", str(settings.nats_port))
    return [
        Program(
            "nats",
            BACKEND,
            (*command, "--jetstream", "--store_dir", str(settings.state_dir / "nats")),
            # More than a laptop's broker needs, and less than it would take before it cleans up.
            {"GOMEMLIMIT": "64MiB"},
            listens=(settings.nats_port,),
            address=f"nats://{LOOPBACK}:{settings.nats_port}",
            about="messages between services",
        )
    ]


def _own(settings: Settings, parts: list[str]) -> list[Program]:
    """The programs of a person's dashcam.toml. Raises BadFile."""
    if settings.own_file is None:
        return []
    found = own_file.read_file(settings.own_file).programs
    free = [program for program in found if not program.replaces]
    stand_ins.check_names(settings.own_file, found, [*parts, TRAFFIC])
    return [
        Program(
            program.name,
            SERVICES,
            stand_ins.command(settings, program),
            listens=(program.port,) if program.port else (),
            address=url(program.port) if program.port else "",
            about=f"of {settings.own_file.name}",
        )
        for program in free
    ]


def _backend(settings: Settings) -> list[Program]:
    if settings.backend == JAEGER:
        return [*_jaeger(settings), _log_receiver(settings), _console(settings)]
    return [
        Program(
            "receiver",
            BACKEND,
            (sys.executable, "-m", "dashcam.store.receiver"),
            {"OTLP_CORS_ORIGINS": ",".join(page_origins(settings))},
            ready=url(settings.otlp_http_port, "/readyz"),
            listens=(settings.otlp_grpc_port,),
            address=url(settings.otlp_http_port),
            about=f"takes OTLP over HTTP, over gRPC on {settings.otlp_grpc_port}; tails the logs",
        ),
        _console(settings),
    ]


def _console(settings: Settings) -> Program:
    passed_on = {"DASHCAM_CONSOLE_KEPT": str(settings.state_dir / "console")}
    if settings.backend == JAEGER:
        passed_on["DASHCAM_JAEGER_URL"] = url(settings.jaeger_port)
    return Program(
        "console",
        BACKEND,
        (sys.executable, "-m", "dashcam.stack.console"),
        passed_on,
        ready=url(settings.console_port, "/readyz"),
        address=url(settings.console_port),
        about="traces and logs; Jaeger's query API",
    )


def _log_receiver(settings: Settings) -> Program:
    """The embedded receiver without its part in traces: pushed metrics and the log search stay embedded."""
    return Program(
        "receiver",
        BACKEND,
        (sys.executable, "-m", "dashcam.store.receiver"),
        {
            "DASHCAM_RECEIVER_SPANS": "off",
            "OTLP_HTTP_PORT": str(settings.receiver_port),
            "OTLP_GRPC_PORT": str(settings.log_receiver_grpc_port),
        },
        ready=url(settings.receiver_port, "/readyz"),
        listens=(settings.log_receiver_grpc_port,),
        address=url(settings.receiver_port, "/metrics"),
        about="tails the logs; holds pushed metrics and lines, which the Collector passes on",
    )


def _jaeger(settings: Settings) -> list[Program]:
    return [
        Program(
            "collector",
            BACKEND,
            (tools.COLLECTOR.path(), f"--config={jaeger.configuration(settings, 'collector')}"),
            jaeger.collector_environ(settings),
            ready=url(settings.collector_health_port, "/"),
            listens=(settings.otlp_grpc_port, settings.otlp_http_port),
            address=url(settings.otlp_http_port),
            about=f"takes OTLP over HTTP, over gRPC on {settings.otlp_grpc_port}; samples; queues on disk",
        ),
        Program(
            "jaeger",
            BACKEND,
            (tools.JAEGER.path(), f"--config={jaeger.configuration(settings, 'jaeger')}"),
            ready=url(settings.jaeger_health_port, "/status"),
            listens=(settings.jaeger_port, settings.jaeger_otlp_port),
            address=url(settings.jaeger_port),
            about="Jaeger itself: the newest traces, in memory",
        ),
    ]


def _metrics(settings: Settings) -> list[Program]:
    state = settings.state_dir
    return [
        Program(
            "prometheus",
            BACKEND,
            (
                *_guarded(settings.prometheus_port),
                _binary(PROMETHEUS),
                f"--config.file={state / 'prometheus' / 'prometheus.yml'}",
                f"--storage.tsdb.path={state / 'prometheus' / 'data'}",
                f"--storage.tsdb.retention.time={settings.prometheus_retention_time}",
                f"--storage.tsdb.retention.size={settings.prometheus_retention_size}",
                f"--web.external-url={url(settings.prometheus_port)}",
                "--web.cors.origin=^$",  # no other origin; unless told it allows them all
                "--enable-feature=exemplar-storage",
            ),
            ready=url(settings.prometheus_port, "/-/ready"),
            address=url(settings.prometheus_port),
            about="metrics and rules",
        ),
        Program(
            "alertmanager",
            BACKEND,
            (
                *_guarded(settings.alertmanager_port),
                _binary(ALERTMANAGER),
                f"--config.file={state / 'alertmanager' / 'alertmanager.yml'}",
                f"--storage.path={state / 'alertmanager' / 'data'}",
                f"--web.external-url={url(settings.alertmanager_port)}",
                "--cluster.listen-address=",  # alone: else it listens on all addresses
            ),
            ready=url(settings.alertmanager_port, "/-/ready"),
            address=url(settings.alertmanager_port),
            about="alerts",
        ),
    ]


def _guarded(port: int) -> tuple[str, ...]:
    """What stands before the command of a program that itself answers to any Host and any origin."""
    module = "dashcam.stack.guarded_program"
    return (sys.executable, "-m", module, "--listen", f"{LOOPBACK}:{port}", "--")


def _traffic(settings: Settings, parts: list[Program]) -> Program:
    ready = [part.ready for part in parts if part.group == SERVICES and part.ready]
    users = ("Visitor", "Client", "Buyer") if settings.traffic_orders else ("Visitor", "Client")
    return Program(
        "traffic",
        TRAFFIC,
        (
            *(sys.executable, "-m", "locust", "--headless", "--only-summary", "--loglevel", "WARNING"),
            *("--locustfile", str(ROOT / "traffic" / "locustfile.py"), f"--users={len(users)}", *users),
        ),
        {"TRAFFIC_WAIT_FOR": " ".join(ready)},
        about=f"about {settings.traffic_rate:g} requests a second",
    )


def _binary(need: Need) -> str:
    if path := need.path():
        return path
    raise MissingProgram(f"{need.name} is not installed: {need.purpose}. `make prerequisites` gets it.")
