"""A node's log files, as containerd writes them and the kubelet rotates them."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from search_server.fluent_bit import torn

KEPT = 5
"""How many files of a container the kubelet keeps: `containerLogMaxFiles`, as it is by default."""


@dataclass
class Container:
    """One container of a pod, and the file of its lines below `root`, which is the node's /var/log.

    With `rotate_at`, the file is put aside when it is that long. Of those put aside all but the newest are
    compressed; past KEPT files the oldest is deleted. The kubelet's own measure is 10 MiB.
    """

    root: Path
    namespace: str
    pod: str
    name: str
    uid: str = "0f7c5a4e-0d55-4d5c-9c39-1d3a3f5f0a11"
    rotate_at: int = 0
    _rotated: list[Path] = field(default_factory=list)
    _one_at_a_time: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.folder = self.root / "pods" / f"{self.namespace}_{self.pod}_{self.uid}" / self.name
        self.folder.mkdir(parents=True)
        self.file = self.folder / "0.log"
        self._out = self.file.open("ab")
        links = self.root / "containers"
        links.mkdir(exist_ok=True)
        link = links / f"{self.pod}_{self.namespace}_{self.name}-{self.uid.replace('-', '') * 2}.log"
        link.symlink_to(self.file)
        self.link = link

    def write(self, text: str, stream: str = "stdout") -> None:
        """One line of the program, in as many rows as the runtime needs."""
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + f"{time.monotonic_ns() % 1000:03d}Z"
        rows = "".join(f"{row}\n" for row in torn(text, moment, stream))
        with self._one_at_a_time:
            self._out.write(rows.encode("utf-8", "surrogateescape"))
            self._out.flush()
            if self.rotate_at and self._out.tell() >= self.rotate_at:
                self.rotate()

    def rotate(self) -> None:
        """What the kubelet does with a file that is long enough."""
        with self._one_at_a_time:
            self._put_aside()

    def _put_aside(self) -> None:
        # The name has whole seconds; the tests rotate faster than the kubelet.
        moment = datetime(2026, 11, 29, tzinfo=UTC) + timedelta(seconds=len(self._rotated))
        aside = self.file.with_name(f"0.log.{moment:%Y%m%d-%H%M%S}")
        self.file.rename(aside)
        self._out.close()
        self._out = self.file.open("ab")
        if self._rotated:
            before = self._rotated[-1]
            packed = before.with_name(before.name + ".gz")
            packed.write_bytes(gzip.compress(before.read_bytes(), 1))
            before.unlink()
            self._rotated[-1] = packed
        self._rotated.append(aside)
        for old in self._rotated[: -(KEPT - 1)]:
            old.unlink(missing_ok=True)

    def close(self) -> None:
        """The container has ended; its file stays."""
        self._out.close()


def service_line(case: str, number: int) -> str:
    """As long as the services' access lines are, and with fields of theirs."""
    return json.dumps(
        {
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "severity": "INFO",
            "message": f"{case} {number}",
            "service": "car",
            "trace_id": f"{number:032x}",
            "span_id": f"{number:016x}",
            "logger": "observability.access",
            "http.request.method": "GET",
            "http.route": "/cars/{maker}/{model}",
            "http.response.status_code": 200,
            "http.server.request.duration": 0.00125,
            "url.path": f"/cars/bentz/{number}",
            "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64) " + "x" * 60,
        },
        separators=(",", ":"),
    )


class Writing:
    """Lines at a steady rate, from a thread, until it is told to stop; `written` counts them."""

    def __init__(self, container: Container, case: str, rate: float, plain: bool = False) -> None:
        self._container = container
        self._case = case
        self._pause = 1 / rate
        self._plain = plain
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lines of {case}")
        self.written = 0

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stop.is_set():
            number = self.written
            line = f"{self._case} {number}" if self._plain else service_line(self._case, number)
            self._container.write(line)
            self.written += 1
            ahead = began + self.written * self._pause - time.monotonic()
            if ahead > 0:
                self._stop.wait(ahead)

    @contextmanager
    def running(self) -> Iterator[Writing]:
        """Lines are written during the block."""
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()
