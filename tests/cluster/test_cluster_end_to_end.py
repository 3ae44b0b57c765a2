"""One request through `web`, found again in the stores of the cluster that every cluster has."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from asking import FOUND, ORDERED, SERVICES, down, order, quote
from polling import until

from dashcam.cluster.kubectl import NAMESPACE

if TYPE_CHECKING:
    from conftest import Cluster


@pytest.mark.verifies(
    component="Kubernetes node", claim="has one request's trace in Jaeger, of every service with its pod"
)
def test_the_trace_of_a_page_is_in_jaeger_with_all_services_and_their_pods(cluster: Cluster) -> None:
    assert_found_with_pods(cluster, quote(cluster), SERVICES)


@pytest.mark.verifies(
    component="Kubernetes node",
    claim="has a confirmed order's trace in Jaeger, of the services on both sides of the broker",
)
def test_the_trace_of_an_order_is_in_jaeger_with_all_services_and_their_pods(cluster: Cluster) -> None:
    assert_found_with_pods(cluster, order(cluster), ORDERED)


def assert_found_with_pods(cluster: Cluster, trace_id: str, services: set[str]) -> None:
    """The trace comes to Jaeger with spans of `services`, each of which names its pod and node."""

    def found() -> dict[str, Any] | None:
        answer = httpx.get(f"{cluster.jaeger}/api/traces/{trace_id}", timeout=10)
        if answer.status_code == 404:
            return None
        trace: dict[str, Any] = answer.raise_for_status().json()["data"][0]
        names = {process["serviceName"] for process in trace["processes"].values()}
        return trace if names >= services else None

    trace = until(found, f"the trace {trace_id} with {services}", within=FOUND, every=1)
    for process in trace["processes"].values():
        tags = {tag["key"]: tag["value"] for tag in process["tags"]}
        assert tags["k8s.namespace.name"] == NAMESPACE
        assert tags["k8s.pod.name"].startswith(process["serviceName"])
        assert tags["k8s.node.name"]


@pytest.mark.verifies(
    component="Kubernetes node",
    claim="has every service's metrics in Prometheus, with exemplars of requests of the tests",
)
@pytest.mark.parametrize("service", [*sorted(SERVICES), "orders"])
def test_prometheus_has_its_metrics_and_an_exemplar_of_a_trace(cluster: Cluster, service: str) -> None:
    sent: set[str] = set()
    began = time.time()

    def ours() -> str | None:
        sent.add((quote if service in SERVICES else order)(cluster))
        answer = httpx.get(
            f"{cluster.prometheus}/api/v1/query_exemplars",
            params={
                "query": f'http_server_request_duration_seconds_bucket{{job="{service}"}}',
                "start": began,
                "end": time.time(),
            },
            timeout=10,
        ).raise_for_status()
        found = {e["labels"]["trace_id"] for series in answer.json()["data"] for e in series["exemplars"]}
        return next(iter(sent & found), None)

    assert until(ours, f"an exemplar of {service} that is a request of ours", within=120, every=2)


@pytest.mark.verifies(component="Kubernetes node", claim="lets Prometheus reach every target")
def test_every_target_is_up(cluster: Cluster) -> None:
    until(lambda: not down(cluster), lambda: f"all targets up; down are {down(cluster)}", within=120, every=5)


@pytest.mark.verifies(component="Kubernetes node", claim="brings alerts to Alertmanager")
def test_an_alert_comes_to_alertmanager(cluster: Cluster) -> None:
    """The one that always fires, to show that alerts would come."""

    def told() -> set[str]:
        answer = httpx.get(f"{cluster.alertmanager}/api/v2/alerts", timeout=10).raise_for_status()
        return {alert["labels"]["alertname"] for alert in answer.json()}

    until(
        lambda: "Watchdog" in told(), lambda: f"the alert Watchdog; there are {told()}", within=120, every=2
    )
