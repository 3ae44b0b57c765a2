"""Bringing an overlay into a cluster and taking it out again."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from dashcam.cluster import secrets
from dashcam.cluster.kubectl import AGENTS, NAMESPACE, ClusterError, Kubectl
from dashcam.cluster.parts import Parts
from dashcam.cluster.readiness import wait_until_ready

K8S = Path(__file__).parents[2] / "k8s"
Say = Callable[[str], object]
EVERYTHING = Parts()
READY_SECONDS = 900.0
"""How long a deployment may take to get ready; most of it is fetching images the first time."""

OPERATORS = {
    "cert-manager.io": "cert-manager",
    "elasticsearch.k8s.elastic.co": "Elastic Cloud on Kubernetes",
    "external-secrets.io": "the External Secrets operator",
    "gateway.networking.k8s.io": "the Gateway API's definitions and a controller for them",
    "kibana.k8s.elastic.co": "Elastic Cloud on Kubernetes",
    "monitoring.coreos.com": "the Prometheus operator",
    "postgresql.cnpg.io": "CloudNativePG",
}
"""Who brings the kinds of a group."""


def overlays() -> list[str]:
    """The names of the overlays."""
    return sorted(path.parent.name for path in (K8S / "overlays").glob("*/kustomization.yaml"))


def folder_of(overlay: str) -> Path:
    """Where one of ours is, by its name, or the folder of your own that `overlay` is the path of.

    Raises ClusterError for anything else, with the names there are.
    """
    if overlay in overlays():
        return K8S / "overlays" / overlay
    if (Path(overlay) / "kustomization.yaml").is_file():
        return Path(overlay)
    raise ClusterError(
        f"there is no overlay {overlay!r}; there are {', '.join(overlays())}, "
        "and any folder of yours with a kustomization.yaml"
    )


def render(kubectl: Kubectl, overlay: str) -> list[dict[str, Any]]:
    """The objects of an overlay, by its name or folder. Raises ClusterError for an unknown one."""
    page = kubectl.run("kustomize", str(folder_of(overlay)))
    return [each for each in yaml.safe_load_all(page) if each]


def deploy(
    kubectl: Kubectl, overlay: str, say: Say, timeout: float = READY_SECONDS, parts: Parts = EVERYTHING
) -> None:
    """Apply the overlay, or some `parts` of it, and wait until that is ready. Safe to repeat.

    What is deployed already and not among the parts is left as it is.

    Raises ClusterError for operators that the cluster lacks, before anything has been applied; for Secrets
    that someone has to bring, before anything but namespaces and the Secrets that are made here has been;
    and for whatever is not ready within `timeout` seconds.
    """
    say(f"cluster: Kubernetes {kubectl.check()}")
    objects = parts.of(render(kubectl, overlay))
    require_operators(kubectl, objects)
    kubectl.apply([each for each in objects if each["kind"] == "Namespace"])
    provide_secrets(kubectl, objects, say)
    # A Job cannot be changed; each of ours is safe to repeat, so the one before makes room.
    for each in objects:
        if each["kind"] == "Job":
            where = ("-n", each["metadata"]["namespace"], "--ignore-not-found")
            kubectl.run("delete", "job", each["metadata"]["name"], *where)
    kubectl.apply(objects)
    wait_until_ready(kubectl, objects, say, timeout)


def require_operators(kubectl: Kubectl, objects: list[dict[str, Any]]) -> None:
    """Raises ClusterError naming the kinds that the cluster does not know, and whose they are."""
    groups = json.loads(kubectl.run("get", "--raw", "/apis"))["groups"]
    known = {version["groupVersion"] for group in groups for version in group["versions"]} | {"v1"}
    missing: dict[str, set[str]] = {}
    for each in objects:
        if each["apiVersion"] not in known:
            missing.setdefault(each["apiVersion"], set()).add(each["kind"])
    if missing:
        raise ClusterError(
            "the cluster does not know these kinds, which an operator brings; install it first:\n"
            + "\n".join(
                f"  {version} ({', '.join(sorted(kinds))}): {_operator(version)}"
                for version, kinds in sorted(missing.items())
            )
        )


def _operator(version: str) -> str:
    return OPERATORS.get(version.partition("/")[0], "an operator that we do not know")


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
        copy = secrets.COPIED[name]
        data = kubectl.get("secret", copy.source.name, "-n", copy.source.namespace)["data"]
        value = base64.b64decode(data[copy.key]).decode()
        kubectl.apply([secrets.secret(name, {copy.here: value, **copy.besides})])
    if plan.make or plan.copy:
        say(f"made {len(plan.make) + len(plan.copy)} Secrets")


def present_secrets(kubectl: Kubectl) -> dict[secrets.Name, set[str]]:
    """The Secrets of both namespaces, with their keys; no values are kept."""
    return {
        secrets.Name(namespace, each["metadata"]["name"]): set(each.get("data") or ())
        for namespace in (NAMESPACE, AGENTS)
        for each in kubectl.get("secrets", "-n", namespace)["items"]
    }


def undeploy(kubectl: Kubectl, overlay: str, *, data: bool) -> None:
    """Delete what the overlay applied. Volumes and Secrets stay for the next time unless `data` goes too."""
    objects = render(kubectl, overlay)
    if data:
        kubectl.run("delete", "namespace", NAMESPACE, AGENTS, "--ignore-not-found", show=True)
        objects = [each for each in objects if "namespace" not in each["metadata"]]
    objects = [each for each in objects if each["kind"] != "Namespace"]
    kubectl.run("delete", "--ignore-not-found", "-f", "-", text=yaml.safe_dump_all(objects), show=True)
