"""The stack in the cluster that kubectl's current context names: deployed, forwarded, ready to be looked at.

`make test-cluster` runs these tests; they are no part of `make test`. Where there is no cluster they fail.
They deploy `local` into the namespaces dashcam and dashcam-agents and leave it there.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

import httpx
import pytest
from polling import until

from dashcam.cluster.deployment import deploy
from dashcam.cluster.forwards import FORWARDS, forward_all
from dashcam.cluster.kubectl import NAMESPACE, Kubectl
from dashcam.stack.ports import free_port


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


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    kubectl = Kubectl()
    deploy(kubectl, "local", print)
    forwards = tuple(replace(each, local=free_port()) for each in FORWARDS)
    ended = threading.Event()
    runner = threading.Thread(target=forward_all, args=(kubectl, forwards, print, ended))
    runner.start()
    try:
        found = Cluster(kubectl, {each.service: each.address for each in forwards})
        until(lambda: httpx.get(f"{found.web}/hello", timeout=5).status_code == 200, "web", within=60)
        yield found
    finally:
        ended.set()
        runner.join(timeout=30)
