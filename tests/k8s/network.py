"""Who may talk to whom, worked out from the NetworkPolicies as a network that enforces them would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from manifests import Manifests, Workload, namespace_of, ports, selects

Rule = Mapping[str, Any]


@dataclass(frozen=True, order=True)
class Flow:
    """From the pods of one workload to a port of another's."""

    client: str
    server: str
    port: int
    protocol: str = "TCP"

    def __str__(self) -> str:
        return f"{self.client} -> {self.server}:{self.port}/{self.protocol}"


class Network:
    """The policies of all namespaces. A pod that no policy selects is open: `undefended` names those."""

    def __init__(self, manifests: Manifests) -> None:
        self.workloads = [*manifests.workloads(), *manifests.operated()]
        self.policies = manifests.of("NetworkPolicy")

    def undefended(self) -> list[str]:
        """Workloads that some direction is open for, because no policy speaks of it."""
        return [
            f"{workload}: {direction}"
            for workload in self.workloads
            for direction in ("Ingress", "Egress")
            if not list(self._selecting(workload, direction))
        ]

    def flows(self) -> set[Flow]:
        """Everything inside that both sides allow."""
        return self.allowed("egress") & self.allowed("ingress")

    def allowed(self, direction: str) -> set[Flow]:
        """Everything inside that the one side allows: the client's `egress`, or the server's `ingress`."""
        return {
            Flow(client.name, server.name, number, protocol)
            for client in self.workloads
            for server in self.workloads
            for name, number, protocol in ports(server)
            if self._allows(direction, client, server, name, number, protocol)
        }

    def _allows(
        self, direction: str, client: Workload, server: Workload, name: str, number: int, protocol: str
    ) -> bool:
        own, peer, side = (client, server, "to") if direction == "egress" else (server, client, "from")
        return any(
            _port_matches(rule, name, number, protocol) and _peer_matches(rule.get(side), peer, policy)
            for policy in self._selecting(own, direction.capitalize())
            for rule in policy["spec"].get(direction, [])
        )

    def _selecting(self, workload: Workload, direction: str) -> Iterator[Rule]:
        for policy in self.policies:
            if (
                namespace_of(policy) == workload.namespace
                and direction in policy["spec"]["policyTypes"]
                and selects(policy["spec"]["podSelector"], workload.pod_labels)
            ):
                yield policy


def _port_matches(rule: Rule, name: str, number: int, protocol: str) -> bool:
    return any(
        port["port"] in (name, number) and port.get("protocol", "TCP") == protocol for port in rule["ports"]
    )


def _peer_matches(peers: list[Rule] | None, workload: Workload, policy: Rule) -> bool:
    for peer in peers or []:
        if "ipBlock" in peer:  # the world outside, and the cluster's API; pods are selected by their labels
            continue
        namespace = {"kubernetes.io/metadata.name": workload.namespace}
        inside = (
            selects(peer["namespaceSelector"], namespace)
            if "namespaceSelector" in peer
            else namespace_of(policy) == workload.namespace  # type: ignore[arg-type]
        )
        if inside and selects(peer.get("podSelector", {}), workload.pod_labels):
            return True
    return False
