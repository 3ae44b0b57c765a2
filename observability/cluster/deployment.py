"""Bringing an overlay into a cluster and taking it out again."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from observability.cluster import secrets
from observability.cluster.kubectl import AGENTS, NAMESPACE, ClusterError, Kubectl

K8S = Path(__file__).parents[2] / "k8s"
Say = Callable[[str], object]


def overlays() -> list[str]:
    """The names of the overlays."""
    return sorted(path.parent.name for path in (K8S / "overlays").glob("*/kustomization.yaml"))


def render(kubectl: Kubectl, overlay: str) -> list[dict[str, Any]]:
    """The overlay's objects. Raises ClusterError for an unknown one, with those there are."""
    if overlay not in overlays():
        raise ClusterError(f"there is no overlay {overlay!r}; there are {', '.join(overlays())}")
    page = kubectl.run("kustomize", str(K8S / "overlays" / overlay))
    return [each for each in yaml.safe_load_all(page) if each]


def deploy(kubectl: Kubectl, overlay: str, say: Say, timeout: str = "15m") -> None:
    """Apply the overlay and wait until everything is ready. Safe to repeat.

    Raises ClusterError for Secrets that someone has to bring, before anything but namespaces and the Secrets
    that are made here has been applied; and for whatever is not ready within `timeout` (kubectl's spelling).
    """
    say(f"cluster: Kubernetes {kubectl.check()}")
    objects = render(kubectl, overlay)
    kubectl.apply([each for each in objects if each["kind"] == "Namespace"])
    provide_secrets(kubectl, objects, say)
    # A Job cannot be changed; each of ours is safe to repeat, so the one before makes room.
    kubectl.run(
        "delete", "jobs", "-n", NAMESPACE, "-l", "app.kubernetes.io/part-of=dashcam", "--ignore-not-found"
    )
    kubectl.apply(objects)
    wait(kubectl, objects, say, timeout)


def provide_secrets(kubectl: Kubectl, objects: list[dict[str, Any]], say: Say) -> None:
    """Make the Secrets that are missing. Raises ClusterError naming those that someone has to bring."""
    plan = secrets.plan(list[Mapping[str, Any]](objects), present_secrets(kubectl))
    if plan.missing:
        raise ClusterError(
            "these Secrets are missing, and only you know what belongs into them:\n  "
            + "\n  ".join(plan.missing)
            + "\nMake them with `kubectl create secret generic -n NAMESPACE NAME --from-file=KEY=FILE`, "
            "or use the component external-secrets."
        )
    for name in plan.make:
        kubectl.apply([secrets.secret(name, secrets.MADE[name]())])
    for name in plan.copy:
        source, key, here = secrets.COPIED[name]
        data = kubectl.get("secret", source.name, "-n", source.namespace)["data"]
        kubectl.apply([secrets.secret(name, {here: base64.b64decode(data[key]).decode()})])
    if plan.make or plan.copy:
        say(f"made {len(plan.make) + len(plan.copy)} Secrets")


def present_secrets(kubectl: Kubectl) -> dict[secrets.Name, set[str]]:
    """The Secrets of both namespaces, with their keys; no values are kept."""
    return {
        secrets.Name(namespace, each["metadata"]["name"]): set(each.get("data") or ())
        for namespace in (NAMESPACE, AGENTS)
        for each in kubectl.get("secrets", "-n", namespace)["items"]
    }


def wait(kubectl: Kubectl, objects: list[dict[str, Any]], say: Say, timeout: str) -> None:
    """Wait for every workload and Job. Raises ClusterError naming the first that is not ready."""
    # Jobs come before what needs them done, and after the databases that they themselves need.
    for kind in ("StatefulSet", "Job", "DaemonSet", "Deployment"):
        for each in objects:
            if each["kind"] == kind:
                name, namespace = each["metadata"]["name"], each["metadata"]["namespace"]
                say(f"waiting for {kind.lower()} {name}")
                if kind == "Job":
                    _finished(kubectl, name, namespace, timeout)
                else:
                    target = f"{kind.lower()}/{name}"
                    kubectl.run("rollout", "status", target, "-n", namespace, f"--timeout={timeout}")


def _finished(kubectl: Kubectl, name: str, namespace: str, timeout: str) -> None:
    """Wait for a Job. One that is gone has finished and deleted itself."""
    if kubectl.run("get", "job", name, "-n", namespace, "--ignore-not-found"):
        kubectl.run(
            "wait", "--for=condition=complete", f"job/{name}", "-n", namespace, f"--timeout={timeout}"
        )


def undeploy(kubectl: Kubectl, overlay: str, *, data: bool) -> None:
    """Delete what the overlay applied. Volumes and Secrets stay for the next time unless `data` goes too."""
    objects = render(kubectl, overlay)
    if data:
        kubectl.run("delete", "namespace", NAMESPACE, AGENTS, "--ignore-not-found", show=True)
        objects = [each for each in objects if "namespace" not in each["metadata"]]
    objects = [each for each in objects if each["kind"] != "Namespace"]
    kubectl.run("delete", "--ignore-not-found", "-f", "-", text=yaml.safe_dump_all(objects), show=True)
