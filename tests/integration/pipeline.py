"""A Collector and a Jaeger of a test's own, with the manifests' configurations, to be broken on purpose.

What kustomize renders of an overlay is what runs, but for addresses, and for time where a test asks: the
waits of the retries to Jaeger are divided by `faster`, nothing else.
"""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from k8s.rendering import rendered
from polling import until
from prometheus_client.parser import text_string_to_metric_families
from watchdog import Watchdog

from dashcam.stack import jaeger, tools
from dashcam.stack.ports import choose_free
from dashcam.stack.settings import Settings, read

Page = dict[str, Any]
Change = Callable[[Page], None]

STOP_SECONDS = 60
"""The Collector's grace period in the manifests."""


def manifest(overlay: str, part: str) -> str:
    """The configuration of `collector` or `jaeger` as an overlay gives it to the pod."""
    return config_map(overlay, part)["config.yaml"]


def config_map(overlay: str, name: str) -> dict[str, str]:
    """The data of a ConfigMap, whose name kustomize ends with a digest."""
    found = [
        each["data"]
        for each in rendered(overlay)
        if each["kind"] == "ConfigMap" and each["metadata"]["name"].rpartition("-")[0] == name
    ]
    assert len(found) == 1, f"{len(found)} ConfigMaps of {overlay} are called {name}-…"
    data: dict[str, str] = found[0]
    return data


def faster(times: float) -> Change:
    """Divide the waits of the retries to Jaeger, so that an outage of minutes is one of seconds."""

    def change(page: Page) -> None:
        retry = page["exporters"]["otlp_grpc/jaeger"]["retry_on_failure"]
        for name in ("initial_interval", "max_interval"):
            retry[name] = f"{float(retry[name].removesuffix('s')) / times * 1000:g}ms"

    return change


def queue_in_memory(page: Page) -> None:
    """Take the queue from the disk: what must not be done, to see that a test notices."""
    del page["exporters"]["otlp_grpc/jaeger"]["sending_queue"]["storage"]


def small_queue(page: Page) -> None:
    """A queue that a test can fill: a five-thousandth of the real one, its batches smaller alike."""
    queue = page["exporters"]["otlp_grpc/jaeger"]["sending_queue"]
    queue["queue_size"] //= 5000
    queue["batch"] |= {"min_size": 16384, "max_size": 32768}


@dataclass
class Running:
    """A program that can be ended, killed and started again with the same files."""

    name: str
    command: list[str]
    environ: dict[str, str]
    ready: str
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None)
    watchdog: Watchdog | None = field(default=None)

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, env=self.environ, stdout=output, stderr=output, start_new_session=True
            )
        process = self.process
        self.watchdog = Watchdog([process.pid])

        def ready() -> bool:
            assert process.poll() is None, f"{self.name} ended: {self.log.read_text()[-2000:]}"
            return fetch(self.ready, timeout=2).status_code == 200

        until(ready, f"{self.name}; see {self.log}", within=60)

    def end(self) -> None:
        """SIGTERM, and wait as long as its pod would be given."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(STOP_SECONDS)
        self._forget()

    def kill(self) -> None:
        """SIGKILL: no time to write anything."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self._forget()

    def _forget(self) -> None:
        if self.watchdog:
            self.watchdog.dismiss()
        self.watchdog = None


@dataclass
class Pipeline:
    """The two programs, and what one asks of them."""

    settings: Settings
    collector: Running
    jaeger: Running

    @property
    def otlp(self) -> str:
        """Where spans are sent to, over HTTP."""
        return f"http://127.0.0.1:{self.settings.otlp_http_port}"

    @property
    def query(self) -> str:
        """Jaeger's query API."""
        return f"http://127.0.0.1:{self.settings.jaeger_port}"

    def stored(self, service: str, limit: int = 20_000) -> dict[str, set[str]]:
        """The span ids of each trace that Jaeger holds of a service, by trace id."""
        asked = {"service": service, "limit": limit, "lookback": "1h"}
        answer = fetch(f"{self.query}/api/traces", params=asked, timeout=60)
        found = answer.raise_for_status().json()["data"]
        return {trace["traceID"]: {span["spanID"] for span in trace["spans"]} for trace in found}

    def counted(self, name: str, **labels: str) -> float:
        """The sum of one of the Collector's own counters or gauges over the series with these labels."""
        return total(f"http://127.0.0.1:{self.settings.collector_metrics_port}/metrics", name, **labels)

    def queued(self) -> float:
        """Bytes that wait for Jaeger, in the Collector's own words."""
        return self.counted("otelcol_exporter_queue_size")

    def decided(self) -> float:
        """Traces on which the sampling decision has fallen, either way."""
        return self.counted("otelcol_processor_tail_sampling_global_count_traces_sampled_total")

    def sent_on(self) -> float:
        """Spans that Jaeger has acknowledged."""
        return self.counted("otelcol_exporter_sent_spans_total")


def fetch(address: str, **options: Any) -> httpx.Response:
    """An answer over plain HTTP, without the 50 ms that it takes to read the certificates for TLS."""
    return httpx.get(address, verify=False, **options)


def total(address: str, name: str, **labels: str) -> float:
    """The sum of the samples of that name and with these labels on a page of metrics.

    A counter that has counted nothing yet may not be on the page: 0.
    """
    text = fetch(address, timeout=5).raise_for_status().text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


@contextmanager
def pipeline(
    folder: Path, overlay: str = "local", change: Change = lambda page: None, **sampling: str
) -> Iterator[Pipeline]:
    """Both programs, ready, with an overlay's configuration; `sampling` replaces variables of its own."""
    ports = dict.fromkeys(_ports(), "0")
    settings = choose_free(read({**ports, "BACKEND": "jaeger", "DASHCAM_STATE_DIR": str(folder)}))
    told = {**config_map(overlay, "collector-sampling"), **jaeger_endpoint(settings), **sampling}
    pages = {
        "collector": jaeger.collector_page(yaml.safe_load(manifest(overlay, "collector")), settings),
        "jaeger": jaeger.jaeger_page(yaml.safe_load(manifest("local", "jaeger")), settings),
    }
    change(pages["collector"])
    made = {}
    for tool, name, port, path in (
        (tools.COLLECTOR, "collector", settings.collector_health_port, "/"),
        (tools.JAEGER, "jaeger", settings.jaeger_health_port, "/status"),
    ):
        config = jaeger.configuration(settings, name)
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(yaml.safe_dump(pages[name]))
        command = [tool.path(), f"--config={config}"]
        made[name] = Running(name, command, told, f"http://127.0.0.1:{port}{path}", folder / f"{name}.log")
    running = Pipeline(settings, **made)
    try:
        running.jaeger.start()
        running.collector.start()
        yield running
    finally:
        running.collector.end()
        running.jaeger.kill()  # what it holds is in memory; its orderly end takes ten seconds


@contextmanager
def router(folder: Path, *behind: Pipeline) -> Iterator[Running]:
    """The Collector that spreads traces over others, ready; `behind` in the place of the pods' one name."""
    settings = choose_free(read({**dict.fromkeys(_ports(), "0"), "DASHCAM_STATE_DIR": str(folder)}))
    page = yaml.safe_load(manifest("local+collector-load-balancing", "collector-router"))
    addresses = [jaeger.at(each.settings.otlp_grpc_port) for each in behind]
    page["exporters"]["load_balancing"]["resolver"] = {"static": {"hostnames": addresses}}
    page["extensions"]["health_check"]["endpoint"] = jaeger.at(settings.collector_health_port)
    page["receivers"]["otlp"]["protocols"]["http"]["endpoint"] = jaeger.at(settings.otlp_http_port)
    page["service"]["telemetry"]["metrics"] = {"level": "none"}
    config = folder / "router.yaml"
    config.write_text(yaml.safe_dump(page))
    command = [tools.COLLECTOR.path(), f"--config={config}"]
    health = f"http://127.0.0.1:{settings.collector_health_port}/"
    made = Running(f"http://{jaeger.at(settings.otlp_http_port)}", command, {}, health, folder / "router.log")
    try:
        made.start()
        yield made
    finally:
        made.end()


def jaeger_endpoint(settings: Settings) -> dict[str, str]:
    """The one variable of the Collector that is an address."""
    return {"JAEGER_ENDPOINT": jaeger.at(settings.jaeger_otlp_port)}


@functools.cache
def _ports() -> tuple[str, ...]:
    return tuple(read({"BACKEND": "jaeger"}).ports())
