"""The stack in the cluster that kubectl's current context names: deployed, forwarded, ready to be looked at.

`make test-cluster` runs these tests, on a node that it makes for them, or with CONTEXT=name on a cluster of
yours; they are no part of `make test`. Where there is no cluster they fail. They deploy `local`, or what
CLUSTER_OVERLAY names, without the parts that CLUSTER_WITHOUT names, into the namespaces dashcam and
dashcam-agents, and leave it there.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from polling import until
from verifying import Recorder

from dashcam.cluster.deployment import deploy
from dashcam.cluster.forwards import forward_all, forwards
from dashcam.cluster.kubectl import NAMESPACE, Kubectl
from dashcam.cluster.parts import Parts, named
from dashcam.stack.ports import free_port

# What renders the manifests and asks questions to them is there.
sys.path.append(str(Path(__file__).parents[1] / "k8s"))

OVERLAY = os.environ.get("CLUSTER_OVERLAY", "local")
PARTS = Parts(without=named([os.environ.get("CLUSTER_WITHOUT", "")]))
HAD = os.environ.get("CLUSTER_HAD", "a cluster of the person who ran the tests")


@dataclass(frozen=True)
class Cluster:
    """Addresses at this machine, and the passwords that the deployment made."""

    kubectl: Kubectl
    addresses: dict[str, str]

    def __getattr__(self, service: str) -> str:
        try:
            return self.addresses[service]
        except KeyError:
            raise AttributeError(service) from None

    def secret(self, name: str, key: str) -> str:
        data = self.kubectl.get("secret", name, "-n", NAMESPACE)["data"]
        return base64.b64decode(data[key]).decode()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Production comes last: it takes the place of what all others look at."""
    items.sort(key=lambda item: item.path.stem == "test_node_production")


@pytest.fixture(scope="session")
def cluster(ran: Recorder) -> Iterator[Cluster]:
    kubectl = Kubectl(os.environ.get("CONTEXT") or None)
    deploy(kubectl, OVERLAY, lambda text: print(text, flush=True), parts=PARTS)
    version = json.loads(kubectl.run("version", "-o", "json"))["serverVersion"]["gitVersion"]
    ran("Kubernetes node", version=version.removeprefix("v"), had=HAD)
    chosen = [each for each in forwards() if each.service not in PARTS.without]
    opened = tuple(replace(each, local=free_port()) for each in chosen)
    ended = threading.Event()
    runner = threading.Thread(target=forward_all, args=(kubectl, opened, print, ended))
    runner.start()
    try:
        found = Cluster(kubectl, {each.service: each.address for each in opened})
        until(lambda: httpx.get(f"{found.web}/hello", timeout=5).status_code == 200, "web", within=60)
        yield found
    finally:
        ended.set()
        runner.join(timeout=30)
