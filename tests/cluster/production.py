"""The overlay `production` as far as one small node has room: one of each, TLS and passwords as they are.

As the README tells people to, the overlay here is a copy of production's own kustomization, with other
components. Left out is what needs an object store or another's images: snapshots, Thanos, the nightly job of
Jaeger. cert-manager is in no package registry: its kinds are left out too, and the Secrets that it would make
of them are made by openssl. PostgreSQL, which production has elsewhere, is the component of `local`.
"""

from __future__ import annotations

import base64
import os
import shutil
from pathlib import Path
from typing import Any

import yaml
from search_server.certificates import secret as certificates

from dashcam.cluster.deployment import K8S
from dashcam.cluster.kubectl import AGENTS, NAMESPACE, Kubectl

PRODUCTION = K8S / "overlays" / "production"
WITHOUT = {"elasticsearch-snapshots", "jaeger-dependencies", "thanos"}
WITH = ("postgres", "log-agent-collector", "log-agent-collector-tls")
MASTERS = "cluster.initial_master_nodes: [elasticsearch-0, elasticsearch-1, elasticsearch-2]"
NOT_A_SERVICE = "app.kubernetes.io/component notin (service)"


def overlay(folder: Path) -> Path:
    """Write it into `folder`, which is it then: a layer above production, and so with the last word."""
    page = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [_production(folder / "production").name],
        "configMapGenerator": [_one_master(folder), *_one_broker(folder), _examples()],
        "patches": [*_one_of_each(), *_little(), *_without_cert_manager(), _log_agent()],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(page))
    return folder


def _production(folder: Path) -> Path:
    """Write production with the components that can be had into `folder`."""
    page: dict[str, Any] = yaml.safe_load((PRODUCTION / "kustomization.yaml").read_text())
    shutil.copytree(PRODUCTION, folder)
    page["resources"] = [_from(folder, name) for name in page["resources"]]
    chosen = [name for name in page["components"] if Path(name).name not in WITHOUT]
    added = [f"../../components/{name}" for name in WITH]
    page["components"] = [_from(folder, name) for name in (*chosen, *added)]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(page))
    return folder


def _from(folder: Path, name: str) -> str:
    """A folder that production names, as `folder` has to name it; a file beside stays one."""
    return os.path.relpath(PRODUCTION / name, folder.resolve()) if name.startswith("..") else name


def _patch(target: dict[str, str], *operations: dict[str, Any]) -> dict[str, Any]:
    return {"target": target, "patch": yaml.safe_dump(list(operations))}


def _one_of_each() -> list[dict[str, Any]]:
    one = {"op": "add", "path": "/spec/replicas", "value": 1}
    bounds = [{"op": "replace", "path": f"/spec/{name}Replicas", "value": 1} for name in ("min", "max")]
    parts = {"kind": "Deployment|StatefulSet", "labelSelector": NOT_A_SERVICE}
    return [_patch(parts, one), _patch({"kind": "HorizontalPodAutoscaler"}, *bounds)]


def _little() -> list[dict[str, Any]]:
    """Two processors and a share of this machine's memory hold all of it."""
    cpu = {"op": "replace", "path": "/spec/template/spec/containers/0/resources/requests/cpu", "value": "10m"}
    heap = [{"name": "ES_JAVA_OPTS", "value": "-Xms1g -Xmx1g"}]
    memory = {"requests": {"memory": "2Gi"}, "limits": {"memory": "2Gi"}}
    container = {"name": "server", "env": heap, "resources": memory}
    search = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "elasticsearch", "namespace": NAMESPACE},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    return [_patch({"kind": "Deployment|StatefulSet|DaemonSet"}, cpu), {"patch": yaml.safe_dump(search)}]


def _without_cert_manager() -> list[dict[str, Any]]:
    gone = {"$patch": "delete", "apiVersion": "cert-manager.io/v1", "metadata": {"name": "any"}}
    kinds = ("Certificate", "ClusterIssuer")
    return [{"target": {"kind": kind}, "patch": yaml.safe_dump({**gone, "kind": kind})} for kind in kinds]


def _log_agent() -> dict[str, Any]:
    image = {
        "op": "replace",
        "path": "/spec/template/spec/containers/0/image",
        "value": "localhost/otelcol-agent:1",
    }
    return _patch({"kind": "DaemonSet", "name": "log-agent"}, image)


def _one_master(folder: Path) -> dict[str, Any]:
    """Of three that are to elect the first master, one would wait for another for ever.

    One that is told so also asks less of its machine, whose limits (of open files) are no production node's.
    """
    name = "elasticsearch.yml"
    text = (K8S / "components" / "elasticsearch-cluster" / name).read_text()
    assert MASTERS in text
    (folder / name).write_text(text.replace(MASTERS, "discovery.type: single-node"))
    return {"name": "elasticsearch", "namespace": NAMESPACE, "behavior": "merge", "files": [name]}


def _one_broker(folder: Path) -> list[dict[str, Any]]:
    """Of three servers one would wait for another for ever, and copies of a message need as many servers."""
    name = "cluster.conf"
    assert f"include {name}" in (K8S / "components" / "nats-cluster" / "nats.conf").read_text()
    (folder / name).write_text("# This server is alone.\n")
    told = ["NATS_URL=nats://nats:4222", "NATS_REPLICAS=1"]
    merged = {"namespace": NAMESPACE, "behavior": "merge"}
    services = [{"name": service, **merged, "literals": told} for service in ("orders", "dealer")]
    return [{"name": "nats", **merged, "files": [name]}, *services]


def _examples() -> dict[str, Any]:
    """Cars to ask for."""
    return {"name": "car", "namespace": NAMESPACE, "behavior": "merge", "literals": ["CAR_EXAMPLES=true"]}


def provide_certificates(kubectl: Kubectl, folder: Path) -> Path:
    """Make the namespaces, and the Secrets that cert-manager makes; the certificate of their authority."""
    made = certificates(folder)
    files = {path.name: base64.b64encode(path.read_bytes()).decode() for path in made.iterdir()}
    names = {"elasticsearch-tls": (NAMESPACE, files), "fluent-bit-tls": (AGENTS, {"ca.crt": files["ca.crt"]})}
    kubectl.apply(
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            for name in (NAMESPACE, AGENTS)
        ]
    )
    kubectl.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": namespace},
                "data": data,
            }
            for name, (namespace, data) in names.items()
        ]
    )
    return made / "ca.crt"
