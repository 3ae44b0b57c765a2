"""What the tests' own node is given of the overlays: changed is only what it has no room or no image for."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from cluster.production import overlay
from manifests import Manifests
from rendering import build, rendered

LOCAL = Path(__file__).parents[1] / "cluster" / "overlays" / "local"


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    return Manifests(build(overlay(tmp_path_factory.mktemp("overlay"))))


def test_local_is_whole_with_another_log_agent_and_autoscalers_that_take_pods_away_soon() -> None:
    manifests = Manifests(build(LOCAL))
    ours = {each.name for each in Manifests(list(rendered("local"))).workloads()}
    assert {each.name for each in manifests.workloads()} == ours - {"fluent-bit"} | {"log-agent"}
    waits = [
        each["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"]
        for each in manifests.of("HorizontalPodAutoscaler")
    ]
    assert waits
    assert set(waits) == {30}


def test_production_has_one_of_each(production: Manifests) -> None:
    assert {each.spec.get("replicas", 1) for each in production.workloads("Deployment", "StatefulSet")} == {1}
    scalers = production.of("HorizontalPodAutoscaler")
    assert {(each["spec"]["minReplicas"], each["spec"]["maxReplicas"]) for each in scalers} == {(1, 1)}


def test_production_keeps_its_tls_its_sampling_and_its_router(production: Manifests) -> None:
    settings = yaml.safe_load(production.config_files("elasticsearch")["elasticsearch.yml"])
    assert settings["discovery.type"] == "single-node"
    assert "cluster.initial_master_nodes" not in settings
    for layer in ("http", "transport"):
        assert settings[f"xpack.security.{layer}.ssl"]["enabled"] is True
    assert production.config_files("elasticsearch-client")["ELASTICSEARCH_URL"].startswith("https://")
    assert production.config_files("car")["CAR_EXAMPLES"] == "true"
    assert production.config_files("collector-sampling")["SAMPLING_PERCENTAGE"] == "10"
    assert {"collector-router", "jaeger-collector", "jaeger-query", "log-agent"} <= {
        each.name for each in production.workloads()
    }


def test_production_asks_for_no_operator_and_no_object_store(production: Manifests) -> None:
    assert not [each for each in production.objects if "cert-manager" in each["apiVersion"]]
    secrets = {
        volume["secret"]["secretName"]
        for workload in production.workloads()
        for volume in workload.pod.get("volumes", [])
        if "secret" in volume
    }
    assert "elasticsearch-tls" in secrets
    assert not {"elasticsearch-keystore", "thanos-object-store"} & secrets
