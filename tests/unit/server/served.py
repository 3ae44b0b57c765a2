"""The program of this folder on the real server, in processes of its own, on free ports."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
from polling import until

from dashcam.stack.ports import free_port

PROGRAM = Path(__file__).parent / "served_program.py"
ROOT = Path(__file__).parents[3]


class Running:
    """A process of the program, what it writes, and a client of it."""

    def __init__(self, stdout: int = subprocess.PIPE, **environ: str) -> None:
        self.port = free_port()
        self.admin_port = free_port()
        clean = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={
                **clean,
                "PYTHONPATH": f"{ROOT}:{PROGRAM.parent}",
                "PORT": str(self.port),
                "OTEL_EXPORTER_PROMETHEUS_PORT": str(self.admin_port),
                "OTEL_TRACES_EXPORTER": "none",
                **environ,
            },
        )
        self._connections: list[socket.socket] = []
        self.lines: list[dict[str, Any]] = []
        self.noise: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (self.process.stdout, self.process.stderr)
            if stream is not None
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any) -> None:
        with stream:
            for raw in stream:
                text = raw.decode()
                try:
                    self.lines.append(json.loads(text))
                except ValueError:
                    self.noise.append(text)

    def ready(self) -> Running:
        until(
            lambda: self.get("/pid"),
            lambda: f"the program to answer; it wrote {self.lines} {self.noise}",
            within=40,
        )
        return self

    def workers(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    def get(self, path: str, *, timeout: float = 20, admin: bool = False) -> str:
        """The body of a GET; raises OSError where nobody listens."""
        port = self.admin_port if admin else self.port
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        try:
            client.request("GET", path)
            response = client.getresponse()
            self.status = response.status
            return response.read().decode()
        finally:
            client.close()

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        self._connections.append(connection)
        return connection

    def start_request(self, path: str) -> socket.socket:
        """A request that was sent and not yet answered; it is in flight by the metrics' account."""
        connection = self.connect()
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        until(
            lambda: (
                'http_server_active_requests{http_request_method="GET"} 1.0'
                in self.get("/metrics", admin=True)
            ),
            "the request to be in flight",
        )
        return connection

    def signal(self, signum: int = signal.SIGTERM) -> None:
        self.process.send_signal(signum)

    def end(self, within: float = 60) -> int:
        """The exit code, once all that it wrote is read; a machine full of other work is given its time."""
        code = self.process.wait(within)
        for reader in self._readers:
            reader.join(5)
        return code

    def messages(self, severity: str) -> list[str]:
        return [line["message"] for line in self.lines if line["severity"] == severity]

    def kill(self) -> None:
        for connection in self._connections:
            connection.close()
        if self.process.poll() is None:
            for pid in [*self.workers(), self.process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.end()
