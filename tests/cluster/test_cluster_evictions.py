"""Pods that are evicted, for their node's sake or for what they wrote: two of each service, under load."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from asking import SERVICES
from load import PYTHON, Load
from pods import SERVICE, pods, ready, settled, two_of_each
from polling import until

from dashcam.cluster.kubectl import NAMESPACE, Kubectl

if TYPE_CHECKING:
    from conftest import Cluster

KUBERNETES = "Kubernetes node"

FILL = """
with open("/tmp/full", "wb") as file:
    for _ in range(96):
        file.write(bytes(2**20))
"""


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Iterator[Kubectl]:
    """Of a cluster in which a quote's services have two pods each."""
    with two_of_each(cluster.kubectl):
        yield cluster.kubectl


@pytest.mark.verifies(
    component=KUBERNETES,
    claim="is drained one pod of a service at a time, as the budgets say; no request is lost",
)
def test_a_drain_evicts_one_pod_of_a_service_at_a_time_and_loses_no_request(kubectl: Kubectl) -> None:
    with Load(kubectl) as load:
        before = {pod["metadata"]["name"] for pod in pods(kubectl)}
        fewest = _drain(kubectl)
        settled(kubectl)
        load.lost_nothing()
    assert not before & {pod["metadata"]["name"] for pod in pods(kubectl)}, "every pod was evicted"
    assert fewest == dict.fromkeys(SERVICES, 1), "never less than the budgets allow, and they were used"


def _drain(kubectl: Kubectl) -> dict[str, int]:
    """Drain the node of the services; what each had ready at the least meanwhile."""
    (node,) = {pod["spec"]["nodeName"] for pod in pods(kubectl)}
    chosen = (f"--pod-selector={SERVICE}", "--delete-emptydir-data")
    command = kubectl.command("drain", node, *chosen, "--timeout=300s")
    fewest = dict.fromkeys(SERVICES, 2)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as drain:
        try:
            until(
                lambda: kubectl.get("node", node)["spec"].get("unschedulable"),
                "the drain to begin",
                every=0.2,
            )
            # There is no other node for the pods that take over: the same one, as if it were new.
            kubectl.run("uncordon", node)
            while drain.poll() is None:
                fewest = {name: min(fewest[name], ready(kubectl, name)) for name in SERVICES}
                time.sleep(0.5)
            assert drain.returncode == 0, drain.stdout and drain.stdout.read()
        finally:
            drain.kill()
            kubectl.run("uncordon", node)
    return fewest


@pytest.mark.verifies(
    component=KUBERNETES,
    claim="evicts a pod whose volume is over its limit, says why, and another takes its place",
)
def test_a_pod_whose_volume_is_full_is_evicted_and_another_takes_its_place(kubectl: Kubectl) -> None:
    with Load(kubectl) as load:
        victim = pods(kubectl, "minus")[0]["metadata"]["name"]
        kubectl.run("exec", "-n", NAMESPACE, victim, "-c", "app", "--", PYTHON, "-c", FILL)

        def why() -> str:
            of_victim = f"--field-selector=involvedObject.name={victim},reason=Evicted"
            events = kubectl.get("events", "-n", NAMESPACE, of_victim)["items"]
            return "".join(each["message"] for each in events)

        said = until(why, f"{victim} to be evicted", within=120, every=1)
        assert 'volume "tmp" exceeds the limit "64Mi"' in said
        until(lambda: ready(kubectl, "minus") == 2, "another pod of minus", within=120, every=1)
        settled(kubectl)
        kubectl.run("delete", "pod", victim, "-n", NAMESPACE)  # a cluster keeps it to be looked at
        load.lost_nothing()
