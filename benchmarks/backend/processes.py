"""The embedded backend's two processes, started for a measurement, and HTTP to them."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from dashcam.stack.ports import free_port

PARTS = {"receiver": "dashcam.store.receiver", "query": "dashcam.stack.console"}


class Backend:
    """The two processes on free ports, over a folder."""

    def __init__(self, folder: Path, core: int | None) -> None:
        self.folder = folder
        self.grpc, self.http, self.query = (free_port() for _ in range(3))
        self._core = core
        self._env = dict(
            os.environ,
            DASHCAM_STATE_DIR=str(folder),
            OTLP_GRPC_PORT=str(self.grpc),
            OTLP_HTTP_PORT=str(self.http),
            CONSOLE_PORT=str(self.query),
            DASHCAM_STORE_MAX_MIB="8192",
        )
        self.processes: dict[str, psutil.Process] = {}

    def start(self, *names: str) -> None:
        """Start `receiver`, `query` or both, and wait until they are ready."""
        ports = {"receiver": self.http, "query": self.query}
        for name in names:
            command = [sys.executable, "-m", PARTS[name]]
            process = subprocess.Popen(command, env=self._env, stdout=subprocess.DEVNULL)  # noqa: S603
            self.processes[name] = psutil.Process(process.pid)
            if name == "receiver" and self._core is not None:
                self.processes[name].cpu_affinity([self._core])
            until_ready(ports[name])

    def stop(self) -> None:
        """Stop what was started."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            process.wait(20)
        self.processes.clear()

    def count(self, table: str) -> int:
        """Records in span_block or log_block."""
        path = self.folder / "backend" / "backend.sqlite3"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return int(db.execute(f"SELECT coalesce(sum(n), 0) FROM {table}").fetchone()[0])  # noqa: S608

    def disk(self) -> float:
        """MiB of the database and what lies beside it."""
        return sum(file.stat().st_size for file in (self.folder / "backend").iterdir()) / 2**20

    def memory(self, name: str) -> float:
        """MiB of resident memory."""
        return self.processes[name].memory_info().rss / 2**20


def until_ready(port: int, path: str = "/readyz", seconds: float = 60) -> None:
    """Return once `path` answers 200. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if get(port, path)[0] == 200:
                return
        time.sleep(0.05)
    raise TimeoutError(f"port {port} was not ready after {seconds} s")


def get(port: int, path: str) -> tuple[int, bytes]:
    """The status and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()


def post_all(port: int, bodies: Iterator[bytes], path: str = "/v1/traces") -> tuple[int, int]:
    """Post each body on one connection; (accepted, refused)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    accepted = refused = 0
    with contextlib.closing(connection):
        for body in bodies:
            connection.request("POST", path, body, {"Content-Type": "application/x-protobuf"})
            response = connection.getresponse()
            response.read()
            accepted += response.status == 200
            refused += response.status != 200
    return accepted, refused
