"""The OpenTelemetry Collector and Jaeger, with the configurations that the cluster gives them.

A service sends its spans through the Collector to Jaeger. Then Jaeger goes away and the Collector's queue,
made small, runs full; and one batch comes that memory has no room for. So the counters of loss exist, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import yaml
from monitoring import program
from polling import until

from dashboards.tests.recorder.page import Page
from dashboards.tests.recorder.programs import HOST, ROOT, Ports, page, service
from dashcam.registry.catalogue import load
from dashcam.stack.tools import COLLECTOR, JAEGER

_PATH = "k8s/base/{}/config.yaml"
REQUESTS = 200
ASKED = load().called_by("car")[0]
"""The smallest service."""


def pages(folder: Path) -> Iterator[Page]:
    """The Collector's page and Jaeger's."""
    ports = Ports()
    sampling = {
        "JAEGER_ENDPOINT": ports.address("jaeger-otlp"),
        "SAMPLING_PERCENTAGE": "100",
        "SAMPLING_DECISION_WAIT": "2s",
        "SAMPLING_SLOW_MS": "500",
    }
    with ExitStack() as running:
        jaeger = running.enter_context(ExitStack())
        jaeger.enter_context(
            program(
                *(JAEGER.path(), "--config", _jaeger(folder, ports)),
                log=folder / "jaeger.log",
                ready=ports.url("jaeger-metrics", "/metrics"),
            )
        )
        running.enter_context(
            program(
                *(COLLECTOR.path(), "--config", _collector(folder, ports)),
                log=folder / "collector.log",
                ready=ports.url("collector-metrics", "/metrics"),
                env={**os.environ, **sampling},
            )
        )
        asked = running.enter_context(
            service(ASKED.name, folder, ports, {"OTEL_EXPORTER_OTLP_ENDPOINT": ports.url("collector-otlp")})
        )
        _ask(asked)
        yield _of_jaeger(ports)
        jaeger.close()
        yield _of_collector(ports, asked)


def _ask(address: str) -> None:
    with httpx.Client(timeout=10) as client:
        for _ in range(REQUESTS):
            client.get(address + ASKED.example)


def _of_jaeger(ports: Ports) -> Page:
    query = ports.url("jaeger-query", "/api/")

    def traces() -> list[dict[str, Any]]:
        found = httpx.get(f"{query}traces", params={"service": ASKED.name, "limit": 5}, timeout=10)
        return found.json()["data"] or []

    trace = until(traces, "its traces in Jaeger", within=60, every=0.5)[0]["traceID"]
    for path in (f"traces/{trace}", f"traces/{'f' * 32}", "services", f"services/{ASKED.name}/operations"):
        httpx.get(f"{query}{path}", timeout=10)
    named = ("otelcol_exporter_sent_spans_total", "jaeger_storage_requests_total")
    return Page(
        job="jaeger",
        program=f"Jaeger {JAEGER.version}",
        how=f"with {_PATH.format('jaeger')} (traces in memory); {REQUESTS} spans of {ASKED.name} from the "
        "Collector, a search, a trace, a trace that does not exist, the services and their operations",
        text=page(ports.url("jaeger-metrics", "/metrics"), *named),
    )


def _of_collector(ports: Ports, asked: str) -> Page:
    named = (
        *("otelcol_exporter_sent_spans_total", "otelcol_exporter_queue_size"),
        "otelcol_exporter_enqueue_failed_spans_total",
    )

    def full() -> str | None:
        _ask(asked)
        text = page(ports.url("collector-metrics", "/metrics"))
        return text if all(f"\n{name}{{" in text for name in named) else None

    return Page(
        job="collector",
        program=f"the OpenTelemetry Collector {COLLECTOR.version}",
        how=f"with {_PATH.format('collector')}, without k8s_attributes (which asks a cluster) and with a "
        f"queue of 64 kB, so that it runs full; {ASKED.name} sends spans over OTLP/HTTP, then Jaeger goes "
        "away",
        text=until(full, "the Collector's queue to be full", within=120, every=1),
    )


def _read(name: str) -> Any:
    return yaml.safe_load((ROOT / _PATH.format(name)).read_text())


def _serve_metrics(config: Any, port: int) -> None:
    (reader,) = config["service"]["telemetry"]["metrics"]["readers"]
    reader["pull"]["exporter"]["prometheus"] |= {"host": HOST, "port": port}


def _write(folder: Path, name: str, config: Any) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def _jaeger(folder: Path, ports: Ports) -> Path:
    config = _read("jaeger")
    extensions = config["extensions"]
    extensions["healthcheckv2"]["http"]["endpoint"] = ports.address("jaeger-health")
    extensions["jaeger_query"]["http"]["endpoint"] = ports.address("jaeger-query")
    extensions["jaeger_query"]["grpc"] = {"endpoint": ports.address("jaeger-query-grpc")}
    del extensions["jaeger_query"]["ui"]  # a file that only the image has
    extensions["jaeger_query"]["base_path"] = "/"
    config["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"] = ports.address("jaeger-otlp")
    _serve_metrics(config, ports["jaeger-metrics"])
    return _write(folder, "jaeger", config)


def _collector(folder: Path, ports: Ports) -> Path:
    config = _read("collector")
    config["extensions"]["health_check"]["endpoint"] = ports.address("collector-health")
    config["extensions"]["file_storage"] |= {"directory": str(folder / "queue"), "create_directory": True}
    protocols = config["receivers"]["otlp"]["protocols"]
    protocols["grpc"]["endpoint"] = ports.address("collector-otlp-grpc")
    protocols["http"]["endpoint"] = ports.address("collector-otlp")
    del config["processors"]["k8s_attributes"]
    config["service"]["pipelines"]["traces/all"]["processors"].remove("k8s_attributes")
    queue = config["exporters"]["otlp_grpc/jaeger"]["sending_queue"]
    queue |= {"queue_size": 65536, "batch": {"flush_timeout": "1s", "min_size": 8192, "max_size": 32768}}
    config["exporters"]["prometheus"]["endpoint"] = ports.address("collector-spans")
    _serve_metrics(config, ports["collector-metrics"])
    return _write(folder, "collector", config)
