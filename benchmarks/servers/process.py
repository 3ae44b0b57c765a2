"""One server under test: its processes, what they cost by the kernel's accounting, and its end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from types import TracebackType
from typing import IO

import psutil

from dashcam.stack.ports import free_port

READY_SECONDS = 30.0


def samples(admin_port: int) -> dict[str, float]:
    """The samples of `/metrics`, by `name` or `name error_type`, summed over their other labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    found: dict[str, float] = {}
    for name, labels, value in re.findall(r"^(\w+?)(?:\{(.*)\})? ([\d.e+-]+)$", text, re.MULTILINE):
        reason = re.search(r'error_type="([^"]*)"', labels)
        key = f"{name} {reason[1]}".strip() if reason else name
        found[key] = found.get(key, 0.0) + float(value)
    return found


class Server:
    """A server started by `launch.py` on a free port of the loopback address; a context manager."""

    def __init__(self, name: str, threads: int, *, python: str = sys.executable) -> None:
        self.name = name
        self.port = free_port()
        self._command = [python, "-m", "benchmarks.servers.launch", name, str(self.port), str(threads)]
        self._environ = dict(os.environ)
        self._stdout: IO[bytes] | int = subprocess.DEVNULL

    def __enter__(self) -> Server:
        self._process = psutil.Popen(
            self._command, env=self._environ, stdout=self._stdout, stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                complaint = self._process.stderr.read().decode(errors="replace").strip()
                raise RuntimeError(f"{self.name} ended at once: {complaint.splitlines()[-1:]}")
            try:
                urllib.request.urlopen(self.url("/pid"), timeout=1).close()  # noqa: S310 # our own http URL
                return self
            except OSError:  # refused, or not answered yet
                time.sleep(0.05)
        raise RuntimeError(f"{self.name} did not answer within {READY_SECONDS:g} s")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def connect(self) -> socket.socket:
        """A new connection to it with a time limit of 2 s for each operation."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=2)

    def cpu(self) -> float:
        """Seconds of user and system time of all its processes so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self._tree())

    def memory(self) -> float:
        """MiB that its processes hold, shared pages counted once (proportional set size)."""
        return sum(process.memory_full_info().pss for process in self._tree()) / 2**20

    def terminate(self) -> None:
        """SIGTERM to the process that was started, as a supervisor does."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> int | None:
        """Its exit code, or None when it is still there after `seconds`."""
        try:
            return int(self._process.wait(seconds))
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            return None

    def _tree(self) -> list[psutil.Process]:
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
