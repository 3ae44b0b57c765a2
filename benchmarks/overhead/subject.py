"""One variant on one server: its process, the file that takes its lines, and what arrived of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import TracebackType

from benchmarks.overhead.variants import Variant
from benchmarks.servers.application import PATH
from benchmarks.servers.process import Server, samples
from dashcam.stack.ports import free_port


class Sink:
    """The counting receiver, as a process of its own; a context manager."""

    def __enter__(self) -> Sink:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.overhead.sink"], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()

    def spans(self) -> dict[str, int]:
        """Spans received so far, by the subject's label."""
        with urllib.request.urlopen(self.url) as answer:  # noqa: S310 # our own http URL
            return {str(name): int(count) for name, count in json.load(answer).items()}


class Subject(Server):
    """A variant that runs on `server`, with its lines in a file below `folder`."""

    def __init__(self, server: str, variant: Variant, sink: Sink, folder: Path, threads: int) -> None:
        super().__init__(server, threads)
        self.variant = variant
        self.label = f"{server}-{variant.name}".replace(" ", "-").replace(",", "").replace("%", "percent")
        self.lines_file = folder / f"{self.label}.log"
        self.admin = free_port()
        self._command = [
            *([str(Path(sys.executable).with_name("opentelemetry-instrument"))] if variant.agent else []),
            *([] if variant.agent else [sys.executable, "-m"]),
            *([sys.executable, "-m"] if variant.agent else []),
            "benchmarks.overhead.launch",
            *(server, variant.name, str(self.port), str(threads)),
        ]
        self._environ = {
            **os.environ,
            "OTEL_SERVICE_NAME": "bench",
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_HEADERS": f"x-bench={self.label}",
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(self.admin),
            "LOG_FORMAT": "json",
            **variant.environ,
        }
        self.requests = 0

    def __enter__(self) -> Subject:
        self._stdout = self.lines_file.open("wb")
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        assert not isinstance(self._stdout, int)
        self._stdout.close()

    def stop(self) -> None:
        """End it as a supervisor does, so that it exports what it still has."""
        self._process.send_signal(signal.SIGTERM)
        self.wait(20)

    def spans_lost(self) -> list[int]:
        """Spans that it counts as lost, whatever the reason; empty where nobody counts them."""
        found = samples(self.admin) if self.variant.name.startswith("Dashcam") else {}
        if "otel_sdk_processor_span_queue_capacity" not in found:
            return []
        counters = ("otel_sdk_processor_span_processed_total ", "otel_sdk_exporter_span_exported_total ")
        return [int(sum(value for key, value in found.items() if key.startswith(counters)))]

    def lines(self) -> int:
        """Lines in its file that look like an access line of the measured route."""
        with self.lines_file.open("rb") as file:
            return sum(1 for line in file if PATH.encode() in line)
