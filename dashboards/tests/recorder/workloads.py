"""kube-state-metrics on workloads, Jobs and a node, of a real API with its real controllers.

There is one node by name and no kubelet: pods are made and never run. The pod of one Job is said to have
failed, by hand, and the node to be ready; that the Job has failed, its controller says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from api_objects import Api, Object, in_order
from control_plane import ControlPlane
from monitoring import program
from polling import until
from rendering import rendered

from dashboards.tests.recorder.cluster import ME, arguments, as_itself
from dashboards.tests.recorder.page import Page
from dashboards.tests.recorder.programs import HOST, Ports
from dashcam.stack.tools import KUBE_STATE_METRICS, KUBERNETES_VERSION

KINDS = (
    *("Namespace", "ServiceAccount", "ConfigMap", "StatefulSet", "DaemonSet", "Deployment"),
    *("ClusterRole", "RoleBinding", "ClusterRoleBinding"),
)
FAMILIES = (
    *("kube_statefulset_", "kube_daemonset_", "kube_job_", "kube_node_"),
    'kube_deployment_status_condition{namespace="dashcam",deployment="car"',
)
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "recorder"}}
JOB: Object = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "given-up", "namespace": "dashcam"},
    "spec": {
        "backoffLimit": 0,
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 1000,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "server",
                        "image": "example.com/none",
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
            }
        },
    },
}


def pages(folder: Path) -> Iterator[Page]:
    """One page."""
    with ControlPlane(folder / "api") as plane, plane.client() as client:
        api = Api(client)
        for each in in_order(rendered("local")):
            if each["kind"] in KINDS:
                assert not (complaints := api.apply(each).complaints(each)), complaints
        for each in (NODE, JOB):
            assert not (complaints := api.create(each).complaints(each)), complaints
        _fail(client)
        _ready(client)
        ports = Ports()
        told = (
            *(f"--kubeconfig={as_itself(plane, client)}", f"--host={HOST}", f"--telemetry-host={HOST}"),
            *(f"--port={ports['metrics']}", f"--telemetry-port={ports['own']}"),
        )
        command = (KUBE_STATE_METRICS.path(), *arguments(), *told)
        log, ready = folder / "kube-state-metrics.log", ports.url("metrics", "/healthz")
        with program(*command, log=log, ready=ready):
            text = until(
                lambda: _settled(ports.url("metrics", "/metrics")),
                "the Job to have failed, the DaemonSets to want pods and car's roll-out to be under way",
                within=120,
                every=1,
            )
    yield Page(
        job=f"{ME}-workloads",
        program=f"kube-state-metrics {KUBE_STATE_METRICS.version} at Kubernetes {KUBERNETES_VERSION}",
        how="with the arguments and the rights of k8s/base, at a real API with its controllers, which has "
        "the StatefulSets, DaemonSets and Deployments of the local overlay and one node that is nothing but "
        "a name; the pod of the Job given-up was said to have failed and the node to be ready, by hand",
        text=text,
        keep=lambda sample: sample.startswith(FAMILIES),
        cut="all but StatefulSets, DaemonSets, Jobs, the node and the conditions of car",
    )


def _fail(client: httpx.Client) -> None:
    """Say of the Job's pod that it has failed, which is what a kubelet would."""
    pods = "/api/v1/namespaces/dashcam/pods"

    def made() -> list[Any]:
        listed: list[Any] = client.get(pods, params={"labelSelector": "job-name=given-up"}).json()["items"]
        return listed

    (pod,) = until(made, "the Job's pod", within=60, every=0.5)
    client.patch(
        f"{pods}/{pod['metadata']['name']}/status",
        json={"status": {"phase": "Failed"}},
        headers={"content-type": "application/merge-patch+json"},
    ).raise_for_status()


def _ready(client: httpx.Client) -> None:
    """Say of the node that it is ready, which is what a kubelet would."""
    ready = {"type": "Ready", "status": "True", "reason": "Said", "message": "by hand"}
    client.patch(
        f"/api/v1/nodes/{NODE['metadata']['name']}/status",
        json={"status": {"conditions": [ready]}},
        headers={"content-type": "application/strategic-merge-patch+json"},
    ).raise_for_status()


def _settled(url: str) -> str | None:
    text = httpx.get(url, timeout=10).text
    wanted = (
        r'kube_job_failed\{.*job_name="given-up",condition="true"\} 1',
        r"kube_daemonset_status_desired_number_scheduled\{.*\} 1",
        r"kube_statefulset_replicas\{.*\} 1",
        r'kube_deployment_status_condition\{.*deployment="car".*condition="Progressing"',
        r"kube_node_status_condition\{",
    )
    return text if all(re.search(each, text) for each in wanted) else None
