"""kube-state-metrics, cAdvisor and the kubelet, of a real Kubernetes API with a real node and real pods.

The pods are those of the local overlay, with two changes: car first takes more memory than its limit, and
the service that it calls ends at once. Deployments make no pods and autoscalers count none here, for no
controller runs; their status is written by hand.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from api_objects import Api, Object, in_order, pod_of
from control_plane import ControlPlane
from manifests import Manifests, Workload
from monitoring import program
from polling import until
from rendering import rendered

from dashboards.tests.recorder.node import NAME, Node, node
from dashboards.tests.recorder.page import Page
from dashboards.tests.recorder.programs import HOST, Ports
from dashcam.registry.catalogue import load
from dashcam.stack.tools import KUBE_STATE_METRICS, KUBERNETES_VERSION
from observability.version import VERSION

ME = "kube-state-metrics"
OVERLAY = "local"

SERVICES = ("web", "car", load().called_by("car")[0].name)
CRASHING = SERVICES[-1]
KINDS = (
    *("Namespace", "ServiceAccount", "ConfigMap", "Deployment", "HorizontalPodAutoscaler"),
    *("ClusterRole", "RoleBinding", "ClusterRoleBinding"),
)
HUNGRY = """
import os, pathlib, sys
once = pathlib.Path("/data/once")
if not once.exists():
    once.touch()
    taken = [bytearray(os.urandom(1024)) * 65536 for _ in range(64)]
os.execv(sys.executable, [sys.executable, "-m", "services.car"])
"""
CHANGES: dict[str, dict[str, Any]] = {
    "car": {"command": ["/opt/venv/bin/python", "-c", HUNGRY], "workingDir": "/app"},
    CRASHING: {"command": ["/opt/venv/bin/python", "-c", "raise SystemExit('no')"]},
}
CLAIM = "data-car"
IMAGE = "localhost/dashcam/{}:{}"


class WithoutControllers(ControlPlane):
    """Nothing here is made by a controller: what they would write is written by hand."""

    def _start_controllers(self) -> None:
        """The API alone."""


def pages(folder: Path) -> Iterator[Page]:
    """The pages of kube-state-metrics, of cAdvisor and of the kubelet."""
    tag = os.environ.get("TAG", VERSION)
    images = [f"{IMAGE.format(name, tag)}=docker.io/dashcam/{name}:{VERSION}" for name in SERVICES]
    with (
        WithoutControllers(folder / "api") as plane,
        plane.client() as client,
        node(folder, plane.kubeconfig, images) as here,
    ):
        api = Api(client)
        objects = [each for each in in_order(rendered(OVERLAY)) if each["kind"] in KINDS]
        # Autoscalers are in production alone.
        objects += [each for each in rendered("production") if each["kind"] == "HorizontalPodAutoscaler"]
        for each in objects:
            _expect(api.apply(each).complaints(each))
            _controllers_would_write(api, each)
        _volume(api, folder)
        pods = [_pod(api, workload) for workload in Manifests(objects).services()]
        try:
            yield _objects(folder, as_itself(plane, client))
            yield from _containers(here)
        finally:
            for pod in pods:
                client.request("DELETE", api.address(pod), json={"gracePeriodSeconds": 1})
            until(lambda: not _left(client), "the pods to be gone", within=90, every=0.5)


def _expect(complaints: list[str]) -> None:
    assert not complaints, complaints


def _left(client: Any) -> Any:
    return client.get("/api/v1/namespaces/dashcam/pods").json()["items"]


def _controllers_would_write(api: Api, each: Object) -> None:
    spec = each.get("spec", {})
    replicas = spec.get("replicas", 1)
    ready = 0 if each["metadata"]["name"] == CRASHING else replicas
    status: dict[str, Any]
    if each["kind"] == "Deployment":
        status = {"replicas": replicas, "updatedReplicas": replicas}
        status |= {"readyReplicas": ready, "availableReplicas": ready}
    elif each["kind"] == "HorizontalPodAutoscaler":
        wanted = spec["minReplicas"]
        status = {"currentReplicas": wanted, "desiredReplicas": wanted, "currentMetrics": None}
    else:
        return
    _expect(api.patch(each, {"status": status}, manager="by-hand", part="/status").complaints(each))


def _volume(api: Api, folder: Path) -> None:
    """A claim, and a folder of this machine bound to it."""
    data = folder / "data"
    data.mkdir()
    data.chmod(0o777)
    size = {"storage": "1Gi"}
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM, "namespace": "dashcam"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": size},
            "storageClassName": "",
            "volumeName": CLAIM,
        },
    }
    kept = api.create(claim)
    _expect(kept.complaints(claim))
    on_this_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NAME]}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": CLAIM},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": size,
            "local": {"path": str(data)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_this_node]}]}},
            "claimRef": {"namespace": "dashcam", "name": CLAIM, "uid": kept.body["metadata"]["uid"]},
        },
    }
    _expect(api.create(volume).complaints(volume))
    for each, more in ((claim, {"capacity": size, "accessModes": ["ReadWriteOnce"]}), (volume, {})):
        bound = {"status": {"phase": "Bound", **more}}
        _expect(api.patch(each, bound, manager="by-hand", part="/status").complaints(each))


def _pod(api: Api, workload: Workload) -> Object:
    pod = pod_of(workload)
    spec = pod["spec"] = copy.deepcopy(pod["spec"]) | {"nodeName": NAME}
    (container,) = spec["containers"]
    container |= CHANGES.get(workload.name, {})
    if workload.name == "car":
        spec["volumes"].append({"name": "data", "persistentVolumeClaim": {"claimName": CLAIM}})
        container["volumeMounts"] = [*container["volumeMounts"], {"name": "data", "mountPath": "/data"}]
    for variable in container["env"]:
        if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
            _secret(api, reference["name"], reference["key"])
    _expect(api.create(pod).complaints(pod))
    return pod


def _secret(api: Api, name: str, key: str) -> None:
    value = "sqlite:////tmp/car.sqlite3" if "database" in name else "recorded-only-and-nowhere-used-but-here"
    metadata = {"name": name, "namespace": "dashcam"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {key: value}}
    _expect(api.apply(secret, manager=f"by-hand-{key}").complaints(secret))


def as_itself(plane: ControlPlane, client: Any) -> Path:
    """A kubeconfig of the account that it has in the cluster, with no more rights than there."""
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = client.post(
        f"/api/v1/namespaces/dashcam/serviceaccounts/{ME}/token", json=asked
    ).raise_for_status()
    config = json.loads(plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": answer.json()["status"]["token"]}
    path = plane.folder / ME
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    return path


def arguments() -> list[str]:
    """What the manifests tell it, but for its ports."""
    (deployment,) = (each for each in Manifests(rendered(OVERLAY)).workloads("Deployment") if each.name == ME)
    (container,) = deployment.pod["containers"]
    return [each for each in container["args"] if "port=" not in each]


def _objects(folder: Path, kubeconfig: Path) -> Page:
    ports = Ports()
    url = ports.url("metrics", "/metrics")
    told = (
        *(f"--kubeconfig={kubeconfig}", f"--host={HOST}", f"--telemetry-host={HOST}"),
        *(f"--port={ports['metrics']}", f"--telemetry-port={ports['own']}"),
    )
    command = (KUBE_STATE_METRICS.path(), *arguments(), *told)

    def happened() -> str | None:
        """The page, when car has been killed for its memory, the last is waited with, and web runs."""
        text = httpx.get(url, timeout=10).text
        wanted = (
            r'pod="car-x".*reason="OOMKilled"} 1',
            rf'pod="{CRASHING}-x".*reason="CrashLoopBackOff"}} 1',
        )
        ready = r'kube_pod_container_status_ready\{.*pod="(?:web|car)-x".* 1'
        happened = all(re.search(each, text) for each in wanted) and len(re.findall(ready, text)) == 2
        return text if happened else None

    with program(*command, log=folder / "kube-state-metrics.log", ready=ports.url("metrics", "/healthz")):
        text = until(happened, f"car to be killed and {CRASHING} to crash", within=240, every=1)
    ours = tuple(f'="{name}"' for name in SERVICES) + tuple(f'pod="{name}-' for name in SERVICES)
    return Page(
        job=ME,
        program=f"kube-state-metrics {KUBE_STATE_METRICS.version} at Kubernetes {KUBERNETES_VERSION}",
        how="with the arguments and the rights of k8s/base, at a real API and a real node that runs web, car "
        f"and {CRASHING} of the local overlay; car first takes more memory than its limit, {CRASHING} ends "
        "at once. "
        "Without controllers, the status of Deployments and autoscalers was written by hand",
        text=text,
        keep=lambda sample: any(name in sample for name in ours),
        cut=f"all but web, car and {CRASHING}",
    )


def _containers(here: Node) -> Iterator[Page]:
    def seen() -> str | None:
        text = here.page("/metrics/cadvisor")
        app = re.compile(r'^container_cpu_cfs_periods_total\{container="app".*pod="car-x"', re.MULTILINE)
        return text if app.search(text) and "container_network_receive_bytes_total{" in text else None

    what = "on one node with containerd and cgroup v1, with the pods of kube-state-metrics.prom"
    yield Page(
        job="cadvisor",
        program=f"the kubelet {KUBERNETES_VERSION} (/metrics/cadvisor)",
        how=what,
        text=until(seen, "cAdvisor to see car", within=120, every=2),
        keep=lambda sample: 'namespace="dashcam"' in sample,
        cut="namespaces but dashcam, the times of samples",
    )
    yield Page(
        job="kubelet",
        program=f"the kubelet {KUBERNETES_VERSION} (/metrics)",
        how=f"{what}; car has a claim on a folder of the machine",
        text=until(
            lambda: _with(here.page("/metrics"), "volume_stats"), "volumes' sizes", within=120, every=2
        ),
    )


def _with(text: str, part: str) -> str | None:
    return text if part in text else None
