"""The configurations of `BACKEND=jaeger`: those of the manifests, with the addresses of this machine.

What differs from k8s/base, and nothing else does:
- addresses and folders;
- pages of this machine may send OTLP from the browser;
- metrics and log records are passed on to the embedded receiver, which in a cluster nobody pushes;
- the Collector does not ask Kubernetes which pod a span came from, since there is none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from dashcam.stack.page_origins import page_origins
from dashcam.stack.settings import ROOT, Settings

K8S = ROOT / "k8s" / "base"
LOOPBACK = "127.0.0.1"
POD_PROCESSOR = "k8s_attributes"

Page = dict[str, Any]


def write_configurations(settings: Settings) -> None:
    """Write what the Collector and Jaeger read into the state folder, and make the Collector's folders."""
    for name, make in (("collector", collector_page), ("jaeger", jaeger_page)):
        page = make(yaml.safe_load((K8S / name / "config.yaml").read_text()), settings)
        config = configuration(settings, name)
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(yaml.safe_dump(page, sort_keys=False, allow_unicode=True))


def configuration(settings: Settings, name: str) -> Path:
    """Where the configuration of `collector` or `jaeger` is."""
    return settings.state_dir / name / "config.yaml"


def collector_page(page: Page, settings: Settings) -> Page:
    """The Collector's configuration of the manifests, on this machine; makes the folders it names."""
    extensions, receivers = page["extensions"], page["receivers"]["otlp"]["protocols"]
    folders = {name: settings.state_dir / "collector" / name for name in ("queue", "compaction")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    extensions["health_check"]["endpoint"] = at(settings.collector_health_port)
    extensions["file_storage"]["directory"] = str(folders["queue"])
    extensions["file_storage"]["compaction"]["directory"] = str(folders["compaction"])
    receivers["grpc"]["endpoint"] = at(settings.otlp_grpc_port)
    receivers["http"]["endpoint"] = at(settings.otlp_http_port)
    receivers["http"]["cors"] = {"allowed_origins": list(page_origins(settings))}
    page["exporters"]["prometheus"]["endpoint"] = at(settings.collector_spans_port)
    _own_metrics(page, settings.collector_metrics_port)
    del page["processors"][POD_PROCESSOR]
    _pass_on(page, settings)
    for pipeline in page["service"]["pipelines"].values():
        pipeline["processors"] = [name for name in pipeline["processors"] if name != POD_PROCESSOR]
    return page


def _pass_on(page: Page, settings: Settings) -> None:
    """Send what is pushed beside spans to where Prometheus and the log search find it."""
    exporter = "otlp_grpc/receiver"
    page["exporters"][exporter] = {
        "endpoint": at(settings.log_receiver_grpc_port),
        "tls": {"insecure": True},
        # Its queue is in memory: the metrics of a moment are of no use later.
        "retry_on_failure": {"max_elapsed_time": "60s"},
    }
    for signal in ("metrics", "logs"):
        page["service"]["pipelines"][f"{signal}/pushed"] = {
            "receivers": ["otlp"],
            "processors": ["memory_limiter"],
            "exporters": [exporter],
        }


def jaeger_page(page: Page, settings: Settings) -> Page:
    """Jaeger's configuration of the manifests, on this machine."""
    extensions = page["extensions"]
    extensions["healthcheckv2"]["http"]["endpoint"] = at(settings.jaeger_health_port)
    prometheus = extensions["jaeger_storage"]["metric_backends"]["spans"]["prometheus"]
    prometheus["endpoint"] = f"http://{at(settings.prometheus_port)}"
    query = extensions["jaeger_query"]
    query["ui"]["config_file"] = str(K8S / "jaeger" / "ui.json")
    query["http"]["endpoint"] = at(settings.jaeger_port)
    query["grpc"] = {"endpoint": at(settings.jaeger_grpc_port)}
    page["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"] = at(settings.jaeger_otlp_port)
    _own_metrics(page, settings.jaeger_metrics_port)
    return page


def collector_environ(settings: Settings) -> dict[str, str]:
    """What the Collector's pod is told by its environment: how to sample, and where Jaeger is."""
    lines = (K8S / "collector" / "sampling.env").read_text().splitlines()
    pairs = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {**pairs, "JAEGER_ENDPOINT": at(settings.jaeger_otlp_port)}


def at(port: int | None) -> str:
    """An address of this machine that nobody else can reach."""
    return f"{LOOPBACK}:{port}"


def _own_metrics(page: Page, port: int) -> None:
    for reader in page["service"]["telemetry"]["metrics"]["readers"]:
        reader["pull"]["exporter"]["prometheus"] |= {"host": LOOPBACK, "port": port}
