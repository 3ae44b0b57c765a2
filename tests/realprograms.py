"""Which of the real programs a test runs, for docs/verified.md."""

from __future__ import annotations

from pathlib import Path

import yaml
from verifying import Recorder

from dashcam.stack.build_tools import version_of
from dashcam.stack.tool_recipes import Tool
from dashcam.stack.tools import COLLECTOR, JAEGER

K8S = Path(__file__).parents[1] / "k8s"

JAEGER_NAME = "Jaeger"
COLLECTOR_NAME = "OpenTelemetry Collector"


def record_jaeger(ran: Recorder) -> str:
    """Say that this run has Jaeger, and answer where it is."""
    return _record(ran, JAEGER_NAME, JAEGER, pinned(K8S / "base/jaeger/deployment.yaml"))


def record_collector(ran: Recorder) -> str:
    """Say that this run has the Collector, and answer where it is."""
    return _record(ran, COLLECTOR_NAME, COLLECTOR, pinned(K8S / "base/collector/statefulset.yaml"))


def record_prometheus_tools(ran: Recorder) -> None:
    """Say which promtool and amtool this machine has."""
    for name, part in (("promtool", "prometheus"), ("amtool", "alertmanager")):
        version = pinned(K8S / f"base/{part}/statefulset.yaml")
        ran(name, version=version_of(name), had="the system's package, on PATH", pinned=version.lstrip("v"))


def pinned(path: Path) -> str:
    """The version of the image that a workload of the manifests runs."""
    workload = yaml.safe_load(path.read_text())
    image: str = workload["spec"]["template"]["spec"]["containers"][0]["image"]
    return image.rpartition(":")[2]


def _record(ran: Recorder, name: str, tool: Tool, wanted: str) -> str:
    given = tool.given()
    ran(name, version=version_of(given) if given else tool.version, had=tool.had(), pinned=wanted)
    return tool.path()
