"""What happens to pods in a cluster's life, under load: where nothing is promised to fail, nothing does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import pytest
from asking import confirmed, place, quote, state
from exampleservices import LAST
from load import Load
from pods import SERVICE, pods, settled
from polling import until
from switches import fault

from dashcam.cluster.kubectl import NAMESPACE, ClusterError, Kubectl
from dashcam.cluster.readiness import wait_until_ready

if TYPE_CHECKING:
    from conftest import Cluster

KUBERNETES = "Kubernetes node"


@pytest.fixture
def load(cluster: Cluster) -> Iterator[Load]:
    with Load(cluster.kubectl) as asking:
        yield asking


@pytest.mark.verifies(
    component=KUBERNETES, claim="rolls all services out again under load without losing a request"
)
def test_a_rolling_restart_under_load_loses_no_request(cluster: Cluster, load: Load) -> None:
    before = {pod["metadata"]["name"] for pod in pods(cluster.kubectl)}
    cluster.kubectl.run("rollout", "restart", "deployment", "-l", SERVICE, "-n", NAMESPACE)
    settled(cluster.kubectl)
    load.lost_nothing()
    assert not before & {pod["metadata"]["name"] for pod in pods(cluster.kubectl)}


@pytest.mark.verifies(
    component=KUBERNETES,
    claim="an image that cannot be had stops its roll-out and is named; no request is lost",
)
def test_an_image_that_cannot_be_had_takes_nothing_down_and_is_named(cluster: Cluster, load: Load) -> None:
    kubectl = cluster.kubectl
    before = kubectl.get("deployment", LAST.name, "-n", NAMESPACE)
    kubectl.run(
        *("set", "image"),
        f"deployment/{LAST.name}",
        f"app=localhost:1/dashcam/{LAST.name}:none",
        "-n",
        NAMESPACE,
    )
    try:
        with pytest.raises(
            ClusterError, match=LAST.name + r": 0 of \d pods are ready; app: (ErrImagePull|ImagePullBackOff)"
        ):
            wait_until_ready(kubectl, [before], print, 20)
    finally:
        kubectl.run("rollout", "undo", f"deployment/{LAST.name}", "-n", NAMESPACE)
    settled(kubectl)
    load.lost_nothing()


@pytest.mark.verifies(
    component=KUBERNETES,
    claim="kills what fills a pod's memory, by a fault switched on by ConfigMap; the service goes on",
)
def test_what_takes_too_much_memory_is_killed_and_another_goes_on(cluster: Cluster) -> None:
    """Where control groups kill one process (version 1) a worker goes, else the whole container."""
    kubectl = cluster.kubectl
    with fault(kubectl, "car-memory-leak"):
        until(lambda: killed(kubectl, "car", cluster), "car to be killed for its memory", within=300)
    until(lambda: quote(cluster), "car to answer again", within=120, every=2)


def killed(kubectl: Kubectl, name: str, cluster: Cluster) -> bool:
    """Ask for a page ten times, whatever comes of it; whether a pod or its worker has been killed since."""
    for _ in range(10):
        with suppress(httpx.HTTPError):
            httpx.get(f"{cluster.web}/cars/bentz/e-class", timeout=10)
    states = [state for pod in pods(kubectl, name) for state in pod["status"].get("containerStatuses", [])]
    ended = [state[when].get("terminated", {}) for state in states for when in ("state", "lastState")]
    label = f"app.kubernetes.io/name={name}"
    said = kubectl.run("logs", "-n", NAMESPACE, "-l", label, "--tail=-1", "--since=2m")
    return any(each.get("reason") == "OOMKilled" for each in ended) or "Unexpected exit from worker" in said


@pytest.mark.verifies(
    component=KUBERNETES,
    claim="an order that is placed while the broker is away is confirmed when it is back",
)
def test_an_order_that_is_placed_while_the_broker_is_away_is_confirmed_when_it_is_back(
    cluster: Cluster,
) -> None:
    kubectl = cluster.kubectl
    scale = ("scale", "statefulset/nats", "-n", NAMESPACE)
    try:
        kubectl.run(*scale, "--replicas=0")
        until(lambda: not pods(kubectl, "nats"), "the broker to be gone", within=90, every=0.5)
        placed = place(cluster)
        assert state(cluster, placed) not in ("confirmed", "cancelled")
    finally:
        kubectl.run(*scale, "--replicas=1")
    confirmed(cluster, placed)
