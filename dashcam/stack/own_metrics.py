"""Whether a program of one's own serves `/metrics`: found among the ports that it listens on."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from dashcam.stack import scrape_targets
from dashcam.stack.metrics_signs import may_serve
from dashcam.stack.programs import LOOPBACK

EAGER_SECONDS, CALM_SECONDS = 0.5, 5.0
"""How often one looks at first, and once EAGER_LOOKS are over."""

EAGER_LOOKS = 60
ATTEMPTS = 3
"""How often a port is asked that does not answer: it may listen before it can, or speak no HTTP."""

PROBE_SECONDS = 2.0
_PAGE_BYTES = 65536


def listening(pid: int) -> dict[int, int]:
    """The TCP ports that a process and its children listen on, as far as seen, each with one that does."""
    found: dict[int, int] = {}
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                connections = process.net_connections(kind="tcp")
                ports = (one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN)
                found |= dict.fromkeys(ports, process.pid)
    return found


def serves_metrics(port: int) -> bool | None:
    """Whether `/metrics` of a port of this machine is a page that Prometheus can read; None for no answer."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/metrics", headers={"Accept": "text/plain"})
        response = connection.getresponse()
        kind = response.headers.get("Content-Type", "")
        page = response.read(_PAGE_BYTES)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    readable = kind.startswith(("text/plain", "application/openmetrics-text"))
    return response.status == 200 and readable and (b"# TYPE " in page or b"# HELP " in page)


class MetricsFinder:
    """Looks for `/metrics` while a program runs, and has Prometheus scrape what it finds."""

    def __init__(
        self, state_dir: Path, name: str, instance: str, told: int | None, say: Callable[[str], None]
    ) -> None:
        self._state_dir = state_dir
        self._name = name
        self._instance = instance
        self._told = told
        self._say = say
        self._asked: dict[int, int] = {}
        self._scraped: set[int] = set()
        self._target: Path | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, pid: int) -> None:
        self._thread = threading.Thread(target=self._run, args=(pid,), name="metrics-finder", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Look no longer, and let the scraping end."""
        self._ended.set()
        if self._thread:
            self._thread.join(PROBE_SECONDS + 1)
        if self._target:
            self._target.unlink(missing_ok=True)

    def _run(self, pid: int) -> None:
        looks = 0
        while not self._ended.wait(EAGER_SECONDS if looks < EAGER_LOOKS else CALM_SECONDS):
            looks += 1
            self.look(listening(pid))

    def look(self, ports: Mapping[int, int]) -> None:
        """Ask the ports that have not been asked often enough; with a port told, that one alone.

        Else only processes that may serve such a page: `ports` has one for each port.
        """
        wanted = {self._told} & ports.keys() if self._told else ports.keys()
        for port in sorted(port for port in wanted - self._scraped if self._asked.get(port, 0) < ATTEMPTS):
            self._asked[port] = self._asked.get(port, 0) + 1
            if port != self._told and not may_serve(ports[port]):
                self._asked[port] = ATTEMPTS
                continue
            answer = serves_metrics(port)
            if answer is False:
                self._asked[port] = ATTEMPTS
            elif answer:
                self._scraped.add(port)
                addresses = [f"{LOOPBACK}:{one}" for one in sorted(self._scraped)]
                self._target = scrape_targets.write(
                    self._state_dir, f"run-{self._instance}", [(self._name, addresses)]
                )
                self._say(f"/metrics of port {port} is scraped")
