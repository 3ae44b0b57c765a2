"""Jaeger, the Collector and Pod Security themselves read what the manifests give them.

`make tools` builds all three once, which takes long, so these tests are no part of `make test`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from realprograms import record_collector, record_jaeger
from verifying import Recorder

from dashcam.stack.tool_recipes import Ours
from dashcam.stack.tools import PODSECURITY, TOOLS

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"

TOLD = {
    "ELASTICSEARCH_URL": "https://elasticsearch:9200",
    "JAEGER_BASE_PATH": "/",
    "JAEGER_ENDPOINT": "jaeger-collector:4317",
    "SAMPLING_PERCENTAGE": "10",
    "SAMPLING_DECISION_WAIT": "10s",
    "SAMPLING_SLOW_MS": "500",
}
"""What the pods are told by their environment."""


@pytest.fixture(scope="module", autouse=True)
def programs(ran: Recorder) -> None:
    """Which programs these are. Fails where one is missing, and says how to get it."""
    record_jaeger(ran)
    record_collector(ran)
    assert isinstance(PODSECURITY.recipe, Ours)
    module = (ROOT / PODSECURITY.recipe.folder / "go.mod").read_text()
    admission = re.search(r"k8s.io/pod-security-admission v(\S+)", module)
    assert admission
    ran(POD_SECURITY, version=admission[1], had=PODSECURITY.had())


def run(program: str, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TOOLS[program].path(), *arguments],
        env={**os.environ, **TOLD},
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
    )


POD_SECURITY = "Pod Security admission"
JAEGER = ("base/jaeger/config.yaml", "base/jaeger-elasticsearch/config/collector.yaml")
QUERY = "base/jaeger-elasticsearch/config/query.yaml"
COLLECTOR = ("base/collector/config.yaml", "components/collector-load-balancing/router/config.yaml")


@pytest.mark.verifies(component="Jaeger", claim="accepts every Jaeger configuration of the manifests")
@pytest.mark.parametrize("path", [*JAEGER, QUERY])
def test_jaeger_accepts_its_configuration(path: str) -> None:
    done = run("jaeger", "validate", "--config", str(K8S / path))
    assert done.returncode == 0, done.stderr


@pytest.fixture
def collector_config(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The configuration, its queue in a folder that exists here."""
    text = (K8S / request.param).read_text().replace("/var/lib/otelcol", str(tmp_path))
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return path


@pytest.mark.verifies(
    component="OpenTelemetry Collector", claim="accepts every Collector configuration of the manifests"
)
@pytest.mark.parametrize("collector_config", COLLECTOR, indirect=True)
def test_the_collector_accepts_its_configuration(collector_config: Path) -> None:
    done = run("otelcol", "validate", "--config", str(collector_config))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("collector_config", COLLECTOR[:1], indirect=True)
def test_a_field_that_does_not_exist_is_refused(collector_config: Path) -> None:
    page = yaml.safe_load(collector_config.read_text())
    page["processors"]["tail_sampling"]["decision_weight"] = "1s"
    collector_config.write_text(yaml.safe_dump(page))
    done = run("otelcol", "validate", "--config", str(collector_config))
    assert done.returncode != 0
    assert "decision_weight" in done.stderr


def test_the_collector_that_reads_is_the_version_that_runs() -> None:
    build = yaml.safe_load((K8S / "collector-build.yaml").read_text())
    deployed = yaml.safe_load((K8S / "base/collector/statefulset.yaml").read_text())
    image = deployed["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.rpartition(":")[2] == build["dist"]["version"]


@pytest.mark.verifies(
    component="Pod Security admission",
    claim="admits every pod of both overlays as restricted, but for Fluent Bit and node-exporter",
)
@pytest.mark.parametrize("overlay", ["local", "production"])
def test_pod_security_admits_all_but_the_two_node_agents_as_restricted(overlay: str) -> None:
    rendered = run("kustomize", "build", str(K8S / "overlays" / overlay)).stdout
    pods = [
        {"name": each["metadata"]["name"], "level": "restricted", "spec": each["spec"]["template"]["spec"]}
        for each in yaml.load_all(rendered, yaml.CSafeLoader)
        if each["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job")
    ]
    verdicts = json.loads(run("podsecurity", text=json.dumps(pods)).stdout)
    assert len(verdicts) == len(pods) > 15
    refused = {each["name"] for each in verdicts if not each["allowed"]}
    assert refused == {"fluent-bit", "node-exporter"}, verdicts
