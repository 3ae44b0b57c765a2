"""Services as processes that begin and end as pods do, behind a balancer that hears of it as nodes do.

What the manifests rely on when they roll is here: readiness, the pause before the stop signal, the end in
order within the grace period. What is not: the network of a cluster, and the kubelet's own times.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from manifests import Manifests
from polling import until

ROOT = Path(__file__).parents[2]
PROPAGATION_SECONDS = 2.0
"""Until every node knows that a pod takes no more connections. Kubernetes promises nothing; the preStop of
the manifests is there to outlast it."""


@dataclass(frozen=True)
class Ending:
    """How the manifests let a pod end, in seconds."""

    pause: float
    grace: float

    @staticmethod
    def of(manifests: Manifests, service: str) -> Ending:
        (workload,) = [each for each in manifests.services() if each.name == service]
        pause = workload.pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        return Ending(pause, workload.pod["terminationGracePeriodSeconds"])


class Balancer:
    """A Service: a port whose connections go to its endpoints in turn. A connection stays where it went."""

    def __init__(self) -> None:
        self._endpoints: list[int] = []
        self._turn = itertools.count()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="balancer", daemon=True)
        self._thread.start()
        serving = asyncio.start_server(self._connected, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result(10)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def add(self, port: int) -> None:
        self._endpoints = [*self._endpoints, port]

    def remove(self, port: int) -> None:
        self._endpoints = [each for each in self._endpoints if each != port]

    def close(self) -> None:
        async def end() -> None:
            self._server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0)  # in which the aborted connections are closed

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _connected(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        chosen = self._endpoints[next(self._turn) % len(self._endpoints)]
        writers = [answer]
        try:
            server, ask = await asyncio.open_connection("127.0.0.1", chosen)
            writers.append(ask)
            await asyncio.gather(_copy(client, ask), _copy(server, answer))
        except OSError:
            answer.close()  # refused: the client sees its connection closed, and counts it
        except asyncio.CancelledError:
            for writer in writers:
                writer.transport.abort()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Everything until the one side ends; then the other side is told."""
    with suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


class Pod:
    """One process of a service; it says in `log` what it says."""

    def __init__(self, service: str, ports: list[int], environ: dict[str, str], log: Path) -> None:
        self.service, (self.port, self._admin), self.log = service, ports, log
        own = {
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(self._admin),
        }
        with log.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"services.{service}"],
                env={"PATH": os.environ["PATH"], **environ, **own},
                cwd=ROOT,
                stdout=said,
                stderr=said,
            )

    def wait_until_ready(self) -> None:
        """Fails at once when the process has ended."""
        until(
            lambda: self._ready() or self.process.poll() is not None,
            lambda: f"{self.service} to be ready; it says {self.log.read_text()[-1500:]}",
            within=90,
        )
        assert self.process.poll() is None, f"{self.service} ended: {self.log.read_text()[-1500:]}"

    def _ready(self) -> bool:
        with suppress(urllib.error.URLError, OSError):
            url = f"http://127.0.0.1:{self._admin}/readyz"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        return False

    def end(self, balancer: Balancer, ending: Ending) -> None:
        """As the kubelet does it: preStop, signal, grace period; one that outlasts that is an error.

        The endpoint goes meanwhile, when the nodes have heard of it.
        """
        hearing = threading.Timer(PROPAGATION_SECONDS, balancer.remove, [self.port])
        hearing.start()
        time.sleep(ending.pause)  # this is what a preStop of `sleep` is
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(ending.grace - ending.pause)
        hearing.join()
        assert code == 0, f"{self.service} ended with {code}: {self.log.read_text()[-1500:]}"

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
