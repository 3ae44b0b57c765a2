"""Every flow between pods, tried: what the policies allow works, and nothing else does.

On the tests' own node alone, where one may step into a pod's network.
"""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from conftest import OVERLAY, PARTS
from manifests import NAME, Manifests, ports
from network import Flow, Network
from polling import until

from dashcam.cluster.deployment import render
from dashcam.cluster.kubectl import Kubectl

if TYPE_CHECKING:
    from conftest import Cluster

TRY = """
import concurrent.futures, json, socket, sys
def connects(address):
    try:
        socket.create_connection(address, timeout=3).close()
        return True
    except OSError:
        return False
addresses = [tuple(each) for each in json.load(sys.stdin)]
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    json.dump(list(pool.map(connects, addresses)), sys.stdout)
"""

Address = tuple[str, int]


@dataclass(frozen=True)
class Pod:
    """A running pod: the part it belongs to, its address, and a process within it."""

    part: str
    address: str
    process: int

    def connects(self, addresses: list[Address]) -> list[bool]:
        """Which of the addresses take a connection from here."""
        return _connects(addresses, "nsenter", f"--net=/proc/{self.process}/ns/net")


def _connects(addresses: list[Address], *inside: str) -> list[bool]:
    command = [*inside, sys.executable, "-c", TRY]
    done = subprocess.run(command, input=json.dumps(addresses), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found: list[bool] = json.loads(done.stdout)
    return found


def running(kubectl: Kubectl) -> list[Pod]:
    """All running pods of all namespaces."""
    listed = subprocess.run(
        ["ctr", "-n", "k8s.io", "tasks", "list"], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in listed.stdout.splitlines()[1:]]
    processes = {row[0]: int(row[1]) for row in rows}
    found = []
    for pod in kubectl.get("pods", "--all-namespaces", "--field-selector=status.phase=Running")["items"]:
        containers = [each.get("containerID", "") for each in pod["status"]["containerStatuses"]]
        process = processes[containers[0].rpartition("/")[2]]
        labels = pod["metadata"]["labels"]
        found.append(Pod(labels.get(NAME, labels.get("k8s-app", "")), pod["status"]["podIP"], process))
    return found


@dataclass(frozen=True)
class Tried:
    """What was tried from one pod to another, and whether it worked."""

    flow: Flow
    worked: bool


@pytest.fixture(scope="module")
def manifests(cluster: Cluster) -> Manifests:
    return Manifests(PARTS.of(render(cluster.kubectl, OVERLAY)))


@pytest.fixture(scope="module")
def tried(cluster: Cluster, manifests: Manifests) -> list[Tried]:
    """What each pod can reach, once all is reached that has to be, or after a minute.

    A policy engine takes a moment to know a new pod, and other tests have just made some.
    """
    needed = Network(manifests).flows()
    last: list[Tried] = []

    def settled() -> bool:
        last[:] = _all_attempts(cluster, manifests)
        return all(each.worked for each in last if each.flow in needed)

    with suppress(AssertionError):
        until(settled, "every needed flow to work", within=60, every=2)
    return last


def _all_attempts(cluster: Cluster, manifests: Manifests) -> list[Tried]:
    """Each pod's attempt at each port that another listens on, as the node itself can tell."""
    pods = running(cluster.kubectl)
    opened = {
        workload.name: [number for _, number, protocol in ports(workload) if protocol == "TCP"]
        for workload in manifests.workloads()
    }
    offered = [(pod, port) for pod in pods for port in opened.get(pod.part, [])]
    listening = _connects([(pod.address, port) for pod, port in offered])
    targets = [each for each, listens in zip(offered, listening, strict=True) if listens]

    def attempts(client: Pod) -> list[Tried]:
        others = [(server, port) for server, port in targets if server != client]
        worked = client.connects([(server.address, port) for server, port in others])
        return [
            Tried(Flow(client.part, server.part, port), result)
            for (server, port), result in zip(others, worked, strict=True)
        ]

    with ThreadPoolExecutor(8) as pool:  # what is refused is waited for
        return [each for found in pool.map(attempts, pods) for each in found]


@pytest.mark.verifies(
    component="Kubernetes node", claim="its policy engine lets through every flow that the parts need"
)
def test_every_flow_that_is_needed_works(tried: list[Tried], manifests: Manifests) -> None:
    needed = {flow for flow in Network(manifests).flows() if flow.protocol == "TCP"}
    refused = {str(each.flow) for each in tried if each.flow in needed and not each.worked}
    assert refused == set()
    assert len(needed & {each.flow for each in tried}) > 15


@pytest.mark.verifies(
    component="Kubernetes node", claim="its policy engine refuses every flow between pods that no part needs"
)
def test_every_other_flow_is_refused(tried: list[Tried], manifests: Manifests) -> None:
    needed = Network(manifests).flows()
    worked = {str(each.flow) for each in tried if each.flow not in needed and each.worked}
    assert worked == set()
    assert sum(not each.worked for each in tried) > 100


def test_the_dns_of_the_cluster_cannot_ask_any_part(tried: list[Tried]) -> None:
    """As any pod of another namespace."""
    asked = [each for each in tried if each.flow.client == "kube-dns"]
    assert asked
    assert not [str(each.flow) for each in asked if each.worked]


@pytest.mark.verifies(
    component="Kubernetes node",
    claim="lets `orders` and `dealer` alone reach the broker, and nobody its figures",
)
def test_orders_and_dealer_alone_reach_the_broker(tried: list[Tried]) -> None:
    asked = [each for each in tried if each.flow.server == "nats"]
    assert {each.flow.port for each in asked} == {4222, 8222}
    assert {each.flow.client for each in asked} > {"orders", "dealer", "web", "car", "postgres", "kube-dns"}
    worked = {(each.flow.client, each.flow.port) for each in asked if each.worked}
    assert worked == {("orders", 4222), ("dealer", 4222)}
