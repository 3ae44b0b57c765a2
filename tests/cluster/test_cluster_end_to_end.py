"""One request through `web`, found again in every store of the cluster; a roll-out that loses no request."""

from __future__ import annotations

import ast
import re
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from polling import until

from dashcam.cluster.kubectl import NAMESPACE
from services.web import VERSION

if TYPE_CHECKING:
    from conftest import Cluster

SERVICES = {"web", "car", "minus"}
FOUND = 60.0
"""Seconds within which a request is to be found: sampling waits, and so do batches and scrapes."""


def quote(cluster: Cluster) -> str:
    """A page that crosses all services; the id of its trace."""
    answer = httpx.get(f"{cluster.web}/cars/bentz/e-class", params={"discount": "500"}, timeout=10)
    assert answer.status_code == 200, answer.text
    match = re.fullmatch(r"00-([0-9a-f]{32})-[0-9a-f]{16}-0[13]", answer.headers["traceresponse"])
    assert match, answer.headers["traceresponse"]
    return match[1]


def elasticsearch(cluster: Cluster, query: dict[str, Any]) -> list[dict[str, Any]]:
    answer = httpx.post(
        f"{cluster.elasticsearch}/logs-dashcam*/_search",
        json={"query": query, "size": 100},
        auth=("grafana", cluster.secret("elasticsearch-users", "grafana")),
        timeout=10,
    ).raise_for_status()
    return [hit["_source"] for hit in answer.json()["hits"]["hits"]]


@pytest.fixture(scope="module")
def trace_id(cluster: Cluster) -> str:
    return quote(cluster)


def test_the_trace_is_in_jaeger_with_all_services_and_their_pods(cluster: Cluster, trace_id: str) -> None:
    def found() -> dict[str, Any] | None:
        answer = httpx.get(f"{cluster.jaeger}/api/traces/{trace_id}", timeout=10)
        if answer.status_code == 404:
            return None
        trace: dict[str, Any] = answer.raise_for_status().json()["data"][0]
        names = {process["serviceName"] for process in trace["processes"].values()}
        return trace if names >= SERVICES else None

    trace = until(found, f"the trace {trace_id} with {SERVICES}", within=FOUND, every=1)
    for process in trace["processes"].values():
        tags = {tag["key"]: tag["value"] for tag in process["tags"]}
        assert tags["k8s.namespace.name"] == NAMESPACE
        assert tags["k8s.pod.name"].startswith(process["serviceName"])
        assert tags["k8s.node.name"]


def test_the_lines_of_all_services_are_in_elasticsearch_and_typed(cluster: Cluster, trace_id: str) -> None:
    def found() -> list[dict[str, Any]] | None:
        lines = elasticsearch(cluster, {"term": {"trace_id": trace_id}})
        return lines if {line["service"] for line in lines} >= SERVICES else None

    lines = until(found, f"lines of {SERVICES} with {trace_id}", within=FOUND, every=1)
    access = [line for line in lines if "http.response.status_code" in line]
    assert access
    assert all(line["http.response.status_code"] == 200 for line in access)
    assert all(line["kubernetes"]["namespace_name"] == NAMESPACE for line in lines)


def test_lines_of_other_containers_are_kept_too(cluster: Cluster) -> None:
    query = {
        "bool": {"must": [{"exists": {"field": "message"}}], "must_not": [{"exists": {"field": "service"}}]}
    }
    until(lambda: elasticsearch(cluster, query), "a line of another container", within=FOUND, every=2)


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_prometheus_has_its_metrics_and_an_exemplar_of_a_trace(cluster: Cluster, service: str) -> None:
    sent: set[str] = set()
    began = time.time()

    def ours() -> str | None:
        sent.add(quote(cluster))
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


def test_every_target_is_up(cluster: Cluster) -> None:
    def down() -> list[str]:
        answer = httpx.get(f"{cluster.prometheus}/api/v1/targets", params={"state": "active"}, timeout=10)
        targets = answer.raise_for_status().json()["data"]["activeTargets"]
        assert targets
        return [f"{each['scrapeUrl']}: {each['lastError']}" for each in targets if each["health"] != "up"]

    until(lambda: not down(), lambda: f"all targets up; down are {down()}", within=120, every=5)


def test_a_panel_of_grafana_shows_the_requests(cluster: Cluster) -> None:
    """Through Grafana's own data source, as a panel asks it."""
    auth = ("admin", cluster.secret("grafana-admin", "admin-password"))
    boards = (
        httpx.get(f"{cluster.grafana}/api/search?type=dash-db", auth=auth, timeout=10)
        .raise_for_status()
        .json()
    )
    assert {board["uid"] for board in boards} >= {"dashcam-overview", "dashcam-service"}
    query = {
        "refId": "A",
        "datasource": {"uid": "prometheus"},
        "expr": "sum by (job) (rate(http_server_request_duration_seconds_count[5m]))",
        "instant": True,
    }

    def jobs() -> bool:
        quote(cluster)
        page = {"queries": [query], "from": "now-15m", "to": "now"}
        answer = httpx.post(
            f"{cluster.grafana}/api/ds/query", json=page, auth=auth, timeout=10
        ).raise_for_status()
        return all(f'"job":"{name}"' in answer.text.replace(" ", "") for name in SERVICES)

    until(jobs, "rates of all services in a panel", within=FOUND, every=2)


@pytest.mark.parametrize("uid", ["prometheus", "jaeger", "elasticsearch", "alertmanager"])
def test_grafana_reaches_its_source(cluster: Cluster, uid: str) -> None:
    auth = ("admin", cluster.secret("grafana-admin", "admin-password"))
    answer = httpx.get(f"{cluster.grafana}/api/datasources/uid/{uid}/health", auth=auth, timeout=30)
    assert answer.status_code == 200, answer.text


def test_kibana_has_the_saved_objects(cluster: Cluster) -> None:
    auth = ("elastic", cluster.secret("elasticsearch-users", "elastic"))
    answer = httpx.get(f"{cluster.kibana}/api/data_views", auth=auth, timeout=30).raise_for_status()
    assert "dashcam-logs" in {view["id"] for view in answer.json()["data_view"]}


LOAD = """
import collections, sys, threading, time, urllib.request
end, outcomes = time.time() + float(sys.argv[1]), collections.Counter()
page = "http://web:5000/cars/bentz/e-class?discount=1"
def ask():
    while time.time() < end:
        try:
            with urllib.request.urlopen(page, timeout=10) as answer:
                outcomes[answer.status] += 1
        except Exception as error:
            outcomes[repr(error)] += 1
threads = [threading.Thread(target=ask) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(dict(outcomes))
"""
"""Asks `web` by its Service, as a client in the cluster does: a port-forward would hang on one pod."""


def test_a_rolling_restart_under_load_loses_no_request(cluster: Cluster) -> None:
    """The load runs in a pod of its own, with a policy of its own; the services roll meanwhile."""
    kubectl, said = cluster.kubectl, list[str]()
    kubectl.apply([_open_web(), _load_pod()])
    try:
        kubectl.run(
            "wait", "--for=jsonpath={.status.phase}=Running", "pod/load", "-n", NAMESPACE, "--timeout=120s"
        )
        for service in ("minus", "car", "web"):
            kubectl.run("rollout", "restart", f"deployment/{service}", "-n", NAMESPACE)
        for service in ("minus", "car", "web"):
            kubectl.run("rollout", "status", f"deployment/{service}", "-n", NAMESPACE, "--timeout=5m")
        until(
            lambda: said.append(kubectl.run("logs", "load", "-n", NAMESPACE)) or said[-1].startswith("{"),
            "the end of the load",
            within=300,
            every=2,
        )
        outcomes = ast.literal_eval(said[-1])
        assert set(outcomes) == {200}, outcomes
        assert outcomes[200] > 100
    finally:
        kubectl.run("delete", "pod/load", "networkpolicy/load", "-n", NAMESPACE, "--wait=false")


def _open_web() -> dict[str, Any]:
    labels = {"matchLabels": {"dashcam/test": "load"}}
    web = {"matchLabels": {"app.kubernetes.io/name": "web"}}
    # Both sides in one policy: it selects the load's pod and `web`, and lets the one ask the other.
    either = {
        "matchExpressions": [{"key": "app.kubernetes.io/name", "operator": "In", "values": ["web", "load"]}]
    }
    port = [{"protocol": "TCP", "port": 5000}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "load", "namespace": NAMESPACE},
        "spec": {
            "podSelector": either,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"podSelector": labels}], "ports": port}],
            "egress": [{"to": [{"podSelector": web}], "ports": port}],
        },
    }


def _load_pod() -> dict[str, Any]:
    """The image of `web` has Python; nothing else has to be fetched."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "load",
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/name": "load", "dashcam/test": "load"},
        },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "load",
                    "image": f"dashcam/web:{VERSION}",
                    "command": ["/opt/venv/bin/python", "-c", LOAD, "120"],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "64Mi"},
                        "limits": {"memory": "128Mi"},
                    },
                }
            ],
        },
    }
