"""What the services' pods are doing, and how many of them there shall be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asking import SERVICES
from polling import until

from dashcam.cluster.kubectl import NAMESPACE, Kubectl

SERVICE = "app.kubernetes.io/component=service"


def pods(kubectl: Kubectl, name: str = "") -> list[dict[str, Any]]:
    """Those of a service, or of all."""
    label = f"app.kubernetes.io/name={name}" if name else SERVICE
    found: list[dict[str, Any]] = kubectl.get("pods", "-n", NAMESPACE, "-l", label)["items"]
    return found


def ready(kubectl: Kubectl, name: str) -> int:
    """How many pods of a service are ready and not about to end."""
    return sum(
        any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))
        for pod in pods(kubectl, name)
        if "deletionTimestamp" not in pod["metadata"]
    )


def settled(kubectl: Kubectl) -> None:
    """Wait until every service has its newest pods, and no older one is left."""
    kubectl.run("rollout", "status", "deployment", "-l", SERVICE, "-n", NAMESPACE, "--timeout=5m")
    until(
        lambda: all("deletionTimestamp" not in pod["metadata"] for pod in pods(kubectl)),
        "the old pods to be gone",
        within=90,
        every=1,
    )


@contextmanager
def two_of_each(kubectl: Kubectl) -> Iterator[None]:
    """Two pods of each service of a quote for the block, by its autoscaler; then what the load wants."""
    try:
        for name in SERVICES:
            _at_least(kubectl, name, 2)
        for name in SERVICES:
            until(lambda name=name: ready(kubectl, name) == 2, f"two pods of {name}", within=120, every=1)
        settled(kubectl)
        yield
    finally:
        for name in SERVICES:
            _at_least(kubectl, name, 1)
        settled(kubectl)


def _at_least(kubectl: Kubectl, name: str, count: int) -> None:
    patch = f'{{"spec": {{"minReplicas": {count}}}}}'
    kubectl.run("patch", "hpa", name, "-n", NAMESPACE, "--type=merge", f"--patch={patch}")
