"""A program of ours as a process of its own that may not take more than 512 MiB."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
from polling import until

LIMIT = 512 * 2**20
"""What each program may take, whatever is sent and asked."""


def _limit() -> None:
    # What is mapped counts here, whether it was touched or not; what was touched is compared with LIMIT.
    resource.setrlimit(resource.RLIMIT_STACK, (2**20, 2**20))
    resource.setrlimit(resource.RLIMIT_DATA, (2 * LIMIT, 2 * LIMIT))


def _peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


class Limited:
    """Runs `module` on `folder`; `port` is where its health is asked."""

    def __init__(self, module: str, folder: Path, port: int, environ: dict[str, str]) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self._output = folder / "output"
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module],
                env=os.environ | {"DASHCAM_STATE_DIR": str(folder)} | environ,
                stdout=output,
                stderr=output,
                preexec_fn=_limit,  # noqa: PLW1509 - started before this test has threads
            )
        try:
            until(lambda: self.healthy, lambda: f"{module} to be ready: {self.output}")
        except AssertionError:
            self.close()
            raise

    @property
    def healthy(self) -> bool:
        return httpx.get(f"{self.address}/readyz", timeout=20).status_code == 200

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def peak(self) -> int:
        """The most memory that it has had, or one of its workers, in bytes."""
        workers = psutil.Process(self._process.pid).children(recursive=True)
        return max(_peak(pid) for pid in (self._process.pid, *(worker.pid for worker in workers)))

    def close(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for worker in psutil.Process(self._process.pid).children(recursive=True):
                worker.kill()
        self._process.kill()
        self._process.wait()

    def check(self) -> None:
        """It lives, answers, was never short of memory, and never took more than it may."""
        assert self._process.poll() is None, self.output[-3000:]
        until(lambda: self.healthy, lambda: f"it to be ready: {self.output[-3000:]}")
        assert "MemoryError" not in self.output, self.output[-3000:]
        print(f"peak: {self.peak // 2**20} MiB")
        assert self.peak <= LIMIT


def at_once(*attacks: Callable[[], object], times: int = 1) -> list[object]:
    """Run all at the same time, and each `times` times after another; what they answered."""
    ready = threading.Barrier(len(attacks))

    def run(attack: Callable[[], object]) -> list[object]:
        ready.wait()
        return [attack() for _ in range(times)]

    with ThreadPoolExecutor(len(attacks)) as threads:
        return [answer for answers in threads.map(run, attacks) for answer in answers]
