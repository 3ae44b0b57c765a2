"""Production on the tests' own node: what fits of it, with its TLS and its passwords (production.py)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from asking import FOUND, SERVICES, confirmed, down, elasticsearch, place, quote
from conftest import OVERLAY, PARTS
from polling import until
from production import overlay, provide_certificates

from dashcam.cluster.deployment import deploy, undeploy
from dashcam.cluster.kubectl import NAMESPACE

if TYPE_CHECKING:
    from conftest import Cluster

NODE = "Kubernetes node"
ASKED = 60
"""A tenth of the unremarkable traces is kept: of so many none once in 500 runs, and then more are sent."""


@pytest.fixture(scope="module")
def authority(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Production in place of what the other tests deployed; the certificate that signs Elasticsearch's."""
    folder = tmp_path_factory.mktemp("production")
    undeploy(cluster.kubectl, OVERLAY, data=True)
    found = provide_certificates(cluster.kubectl, folder / "certificates")
    (folder / "overlay").mkdir()
    where = str(overlay(folder / "overlay"))
    deploy(cluster.kubectl, where, lambda text: print(text, flush=True), parts=PARTS)
    # The forwards of the other tests have found the Services that have the same names.
    until(lambda: httpx.get(f"{cluster.web}/hello", timeout=5).status_code == 200, "web", within=60)
    return found


@pytest.fixture(scope="module")
def trace(cluster: Cluster, authority: Path) -> dict[str, Any]:
    """One that sampling has kept, of a request that these tests have sent."""
    sent: set[str] = set()

    def kept() -> dict[str, Any] | None:
        if len(sent) < ASKED:
            sent.update(quote(cluster) for _ in range(10))
        else:
            sent.add(quote(cluster))
        page = httpx.get(f"{cluster.jaeger}/api/traces?service=web&limit=200&lookback=1h", timeout=30)
        found = page.raise_for_status().json()["data"]
        whole = [each for each in found if {p["serviceName"] for p in each["processes"].values()} >= SERVICES]
        return next((each for each in whole if each["traceID"] in sent), None)

    return until(kept, "one of our traces in Jaeger", within=2 * FOUND, every=2)


@pytest.mark.verifies(
    component=NODE,
    claim="runs `production`, one of each: a trace comes by router, collector and Jaeger to Elasticsearch",
)
def test_a_trace_comes_through_all_of_productions_stages_with_its_pods(trace: dict[str, Any]) -> None:
    for process in trace["processes"].values():
        tags = {tag["key"]: tag["value"] for tag in process["tags"]}
        assert tags["k8s.namespace.name"] == NAMESPACE
        assert tags["deployment.environment.name"] == "production"


@pytest.mark.verifies(
    component=NODE, claim="runs `production`: the lines of a request are in Elasticsearch, sent over TLS"
)
def test_the_lines_of_the_trace_are_in_elasticsearch_over_tls(
    cluster: Cluster, authority: Path, trace: dict[str, Any]
) -> None:
    query = {"term": {"trace_id": trace["traceID"]}}

    def services() -> set[str]:
        return {line["service"] for line in elasticsearch(cluster, query, authority)}

    until(
        lambda: services() >= SERVICES, lambda: f"lines of all; there are those of {services()}", within=FOUND
    )


@pytest.mark.verifies(
    component=NODE, claim="runs `production`: Elasticsearch answers nobody without TLS or a password"
)
def test_nobody_is_answered_without_tls_or_password(cluster: Cluster, authority: Path) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(cluster.elasticsearch, timeout=10).raise_for_status()
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        elasticsearch(cluster, {"match_all": {}}, authority, password="guessed")


@pytest.mark.verifies(
    component=NODE, claim="runs `production`: an order is confirmed by the dealer, who is asked by message"
)
def test_an_order_is_confirmed_in_production(cluster: Cluster, authority: Path) -> None:
    confirmed(cluster, place(cluster))


@pytest.mark.verifies(component=NODE, claim="runs `production`: Prometheus reaches every target")
def test_every_target_of_production_is_up(cluster: Cluster, authority: Path) -> None:
    until(lambda: not down(cluster), lambda: f"all targets up; down are {down(cluster)}", within=120, every=5)
