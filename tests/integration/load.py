"""The last service of a quote as a process, asked at a steady rate: what makes real spans under load."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from exampleservices import LAST, ROUTE
from pipeline import Pipeline, Running, total


class Load:
    """Asks it until it is told to stop, and keeps when each trace began. One request is one span."""

    def __init__(self, pipeline: Pipeline, rate: float) -> None:
        self._url = f"http://127.0.0.1:{pipeline.settings.port(LAST.name)}{ROUTE}"
        self._metrics = f"http://127.0.0.1:{pipeline.settings.admin_port(LAST.name)}/metrics"
        self._pause = 1 / rate
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")
        self.began: dict[str, float] = {}
        self.failures: list[str] = []

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; what was asked is answered when this returns."""
        self._stopping.set()
        if self._thread.ident:
            self._thread.join()

    def _run(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._stopping.wait(self._pause):
                began = time.time()
                answer = client.get(self._url, params={"x": 5, "y": 3})
                if answer.status_code == 200:
                    self.began[answer.headers["traceresponse"].split("-")[1]] = began
                else:
                    self.failures.append(answer.text)

    def exported(self) -> int:
        """Spans that the Collector acknowledged, as the service counts them."""
        return int(total(self._metrics, "otel_sdk_exporter_span_exported_total", error_type=""))

    def given_up(self) -> int:
        """Spans that the service did not deliver, as it counts them: failed exports and a full queue."""
        every = total(self._metrics, "otel_sdk_exporter_span_exported_total")
        processed = total(self._metrics, "otel_sdk_processor_span_processed_total")
        dropped = processed - total(self._metrics, "otel_sdk_processor_span_processed_total", error_type="")
        return int(every + dropped) - self.exported()


@contextmanager
def load(pipeline: Pipeline, rate: float) -> Iterator[Load]:
    """The service, ready, with a load that its user starts; both ended with the block."""
    settings = pipeline.settings
    environ = {
        **os.environ,
        "HOST": "127.0.0.1",
        "PORT": str(settings.port(LAST.name)),
        "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(settings.admin_port(LAST.name)),
        "OTEL_EXPORTER_OTLP_ENDPOINT": pipeline.otlp,
    }
    ready = f"http://127.0.0.1:{settings.admin_port(LAST.name)}/readyz"
    command = [sys.executable, "-m", f"services.{LAST.name}"]
    service = Running(LAST.name, command, environ, ready, Path(settings.state_dir) / f"{LAST.name}.log")
    made = Load(pipeline, rate)
    try:
        service.start()
        yield made
    finally:
        made.stop()
        service.end()
