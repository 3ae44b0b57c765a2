"""What the recorders share: a running program's page once it is complete, and a folder for its files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from monitoring import program
from polling import until

from dashcam.stack.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
HOST = "127.0.0.1"


class Ports(dict[str, int]):
    """A free port of loopback for each name that is asked for."""

    def __missing__(self, name: str) -> int:
        self[name] = free_port()
        return self[name]

    def address(self, name: str) -> str:
        return f"{HOST}:{self[name]}"

    def url(self, name: str, path: str = "") -> str:
        return f"http://{self.address(name)}{path}"


def page(url: str, *named: str, headers: Mapping[str, str] | None = None) -> str:
    """The page at `url` as soon as it has all the families `named`: some appear seconds after the event."""

    def complete() -> str | None:
        text = httpx.get(url, timeout=20, headers=headers).raise_for_status().text
        missing = [name for name in named if not re.search(rf"^{name}[{{ ]", text, re.MULTILINE)]
        return None if missing else text

    return until(complete, f"{', '.join(named)} at {url}", within=90, every=0.5)


@contextmanager
def service(name: str, folder: Path, ports: Ports, environ: Mapping[str, str]) -> Iterator[str]:
    """One of the services, running; its address."""
    told = {
        **os.environ,
        "PORT": str(ports[name]),
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(ports[f"{name}-admin"]),
        "DASHCAM_STATE_DIR": str(folder),
        **environ,
    }
    ready = ports.url(f"{name}-admin", "/readyz")
    python = str(ROOT / ".venv" / "bin" / "python")
    with program(
        python, "-m", f"services.{name}", log=folder / f"{name}.log", ready=ready, cwd=ROOT, env=told
    ):
        yield ports.url(name)
