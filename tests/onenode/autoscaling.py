"""metrics-server on the node: what autoscalers and `kubectl top` ask how busy pods are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from control_plane import ControlPlane

from dashcam.stack.tools import METRICS_SERVER
from onenode.namespaces import ADDRESS

PORT = 4443
GROUP = "metrics.k8s.io"
API = f"v1beta1.{GROUP}"


def api_flags(certificate: Path, key: Path) -> list[str]:
    """What lets an API server pass requests on to another, and say whose they are, by a certificate."""
    return [
        *(f"--proxy-client-cert-file={certificate}", f"--proxy-client-key-file={key}"),
        f"--requestheader-client-ca-file={certificate}",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--enable-aggregator-routing=true",
    ]


def start(folder: Path, api: ControlPlane) -> None:
    """Start it, a process of the node; the API knows it by :func:`objects`."""
    names = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    api.start(
        METRICS_SERVER,
        *(f"--{name}={api.kubeconfig}" for name in names),
        *(f"--bind-address={ADDRESS}", f"--secure-port={PORT}", f"--cert-dir={folder / 'metrics-server'}"),
        # The kubelet's certificate is its own; the shortest time between two looks is ten seconds.
        *(
            "--kubelet-insecure-tls",
            "--kubelet-preferred-address-types=InternalIP",
            "--metric-resolution=10s",
            "--kubelet-request-timeout=8s",
        ),
    )


def objects() -> list[dict[str, Any]]:
    """The metrics API, and a Service whose one endpoint is the process."""
    where = {"name": "metrics-server", "namespace": "kube-system"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": where,
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": PORT}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**where, "labels": {"kubernetes.io/service-name": "metrics-server"}},
            "addressType": "IPv4",
            "ports": [{"name": "https", "port": PORT, "protocol": "TCP"}],
            "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": True}}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": API},
            "spec": {
                "group": GROUP,
                "version": "v1beta1",
                "service": {**where, "port": 443},
                "insecureSkipTLSVerify": True,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        },
    ]
