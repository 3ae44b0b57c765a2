"""A second instance of a service beside the one that runs: of another version, or on another host.

It is a program of the stack's supervisor, is scraped as the first one is, sends its spans and log lines
the same way, and has traffic of its own: what a balancer in front of both would send it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dashcam.sources.switches import Switches
from dashcam.stack import readiness, scrape_targets
from dashcam.stack.ports import LOOPBACK, free_ports
from dashcam.stack.programs import SERVICES, TRAFFIC, Program, url
from dashcam.stack.settings import Settings
from dashcam.stack.supervision import Supervisor

READY = 30.0
"""Seconds that it may take to be ready."""
USERS = {"car": "Client", "web": "Visitor"}
"""The class of the traffic that speaks to each service that has any."""


@dataclass(frozen=True)
class Twin:
    """What differs from the first instance: `clock` is seconds ahead, `log` is `full` where its disk is."""

    service: str
    version: str = ""
    host: str = ""
    faults: tuple[str, ...] = ()
    clock: float = 0.0
    log: str = "kept"

    def __post_init__(self) -> None:
        if self.service not in USERS:
            raise ValueError(f"a second {self.service!r} would have no traffic: give {' or '.join(USERS)}")


@contextmanager
def running(twin: Twin, settings: Settings) -> Iterator[str]:
    """The second instance, ready and with traffic, while the block lasts; answers its address."""
    supervisor = Supervisor(settings.state_dir)
    port, admin = free_ports(2)
    instance = _program(twin, settings, port, admin)
    with ExitStack() as undo:
        if twin.faults:
            switches = Switches(settings.state_dir / f"faults-{instance.name}.json")
            undo.callback(switches.path.unlink, missing_ok=True)
            for name in twin.faults:
                switches.set(name, True)
        undo.enter_context(_added(supervisor, instance))
        _wait(instance)
        undo.enter_context(_scraped(settings.state_dir, instance.name, twin.service, admin))
        speaks = {f"{twin.service.upper()}_URL": url(port)}
        traffic = _traffic(instance.name, settings.traffic_rate, speaks, USERS[twin.service])
        undo.enter_context(_added(supervisor, traffic))
        yield url(port)


def _program(twin: Twin, settings: Settings, port: int, admin: int) -> Program:
    name = f"{twin.service}-2"
    attributes = {"deployment.environment.name": "local", "service.version": twin.version}
    attributes["host.name"] = twin.host
    environ = {
        "PORT": str(port),
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(admin),
        "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{key}={value}" for key, value in attributes.items() if value),
        "DASHCAM_FAULTS_FILE": str(settings.state_dir / f"faults-{name}.json"),
    }
    module = f"services.{twin.service}"
    plain = (sys.executable, "-m", module)
    odd = (sys.executable, "dashcam/lab/faulty_host.py", f"--clock={twin.clock}", f"--log={twin.log}")
    is_odd = bool(twin.clock) or twin.log != "kept"
    command = (*odd, module) if is_odd else plain
    return Program(name, SERVICES, command, environ, ready=url(admin, "/readyz"), listens=(port,))


@contextmanager
def more_traffic(settings: Settings, rate: float) -> Iterator[None]:
    """`rate` requests a second beside the traffic that runs, while the block lasts; none where it is 0."""
    with ExitStack() as undo:
        if rate:
            undo.enter_context(_added(Supervisor(settings.state_dir), _traffic("more", rate, {})))
        yield


def _traffic(name: str, rate: float, environ: dict[str, str], *users: str) -> Program:
    locust = (sys.executable, "-m", "locust", "--headless", "--only-summary", "--loglevel=WARNING")
    script = ("--locustfile=traffic/locustfile.py", f"--users={len(users) or 3}", *users)
    return Program(f"traffic-{name}", TRAFFIC, (*locust, *script), {**environ, "TRAFFIC_RATE": f"{rate:g}"})


@contextmanager
def _added(supervisor: Supervisor, program: Program) -> Iterator[None]:
    supervisor.add(program)
    try:
        yield
    finally:
        supervisor.remove(program.name)


@contextmanager
def _scraped(state_dir: Path, name: str, job: str, admin: int) -> Iterator[None]:
    """Let Prometheus scrape the admin port, by a file that it looks for."""
    path = scrape_targets.write(state_dir, name, [(job, [f"{LOOPBACK}:{admin}"])])
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _wait(program: Program) -> None:
    deadline = time.monotonic() + READY
    while reason := readiness.why_not_ready(program):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{program.name} was not ready within {READY:.0f} s: {reason}")
        time.sleep(0.2)
