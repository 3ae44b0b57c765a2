"""The whole stack, running, for tests that look at it as a person would.

`stack` is one stack for all tests of the session: started by the function behind `make up`, on free ports,
with a state folder of its own and without example traffic; ended by the function behind `make down`.
It has these attributes, each address without a trailing slash:

    web car              http://127.0.0.1:PORT of the services; service(NAME) of any
    admin(NAME)          its /metrics, /livez and /readyz
    receiver                         OTLP over HTTP, /readyz and /metrics
    console prometheus alertmanager
    jaeger                           Jaeger's query API: the console's, or Jaeger's own with BACKEND=jaeger
    state_dir                        a Path: logs/, backend/, prometheus/, …
    settings, environ                the settings it runs under, and the same as variables for `make`
    status()                         what `make status` knows

`start_stack(**variables)` starts another one, of the test's own, for example
`start_stack(TRAFFIC="on", TRAFFIC_RATE="20")`; it is ended with the test.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from watchdog import Watchdog

from dashcam.stack import lifecycle
from dashcam.stack.programs import url
from dashcam.stack.settings import JAEGER, Settings, read

FREE_PORTS = dict.fromkeys(read({"BACKEND": JAEGER}).ports(), "0")


@dataclass(frozen=True)
class RunningStack:
    settings: Settings

    @property
    def web(self) -> str:
        return url(self.settings.port("web"))

    @property
    def car(self) -> str:
        return url(self.settings.port("car"))

    def service(self, name: str) -> str:
        return url(self.settings.port(name))

    def admin(self, name: str) -> str:
        return url(self.settings.admin_port(name))

    @property
    def receiver(self) -> str:
        return url(self.settings.otlp_http_port)

    @property
    def console(self) -> str:
        return url(self.settings.console_port)

    @property
    def jaeger(self) -> str:
        return url(self.settings.jaeger_port) if self.settings.backend == JAEGER else self.console

    @property
    def prometheus(self) -> str:
        return url(self.settings.prometheus_port)

    @property
    def alertmanager(self) -> str:
        return url(self.settings.alertmanager_port)

    @property
    def state_dir(self) -> Path:
        return self.settings.state_dir

    @property
    def environ(self) -> dict[str, str]:
        return self.settings.as_environ()

    def status(self) -> lifecycle.Status:
        return lifecycle.status(self.settings)


@contextmanager
def running(state_dir: Path, **variables: str) -> Iterator[RunningStack]:
    """A stack in `state_dir`, ready; ended with the block, also when it fails."""
    asked = read({**FREE_PORTS, "TRAFFIC": "off", **variables, "DASHCAM_STATE_DIR": str(state_dir)})
    # Nothing of it outlives a test run that is killed.
    told = {**os.environ, **asked.as_environ()}
    watchdog = Watchdog(command=[str(Path(sys.executable).with_name("dashcam")), "down"], environ=told)
    try:
        yield RunningStack(lifecycle.up(asked))
    finally:
        lifecycle.down(asked)
        watchdog.dismiss()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running(tmp_path_factory.mktemp("stack")) as started:
        yield started


@pytest.fixture
def start_stack(tmp_path: Path) -> Iterator[Callable[..., RunningStack]]:
    with ExitStack() as started:
        number = iter(range(1000))

        def start(**variables: str) -> RunningStack:
            return started.enter_context(running(tmp_path / f"stack-{next(number)}", **variables))

        yield start
