"""What a cluster has before anyone deploys to it: names for Services, and volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onenode.node import DNS, DOMAIN, NAME

DNS_IMAGE = "localhost/coredns:1"
VOLUMES = 24

_LABELS = {"k8s-app": "kube-dns"}
"""What network policies of all clusters know the DNS by."""

_COREFILE = f"""\
.:53 {{
    errors
    health
    ready
    kubernetes {DOMAIN} in-addr.arpa
    cache 5
}}
"""


def _named(kind: str, version: str, name: str = "coredns", **rest: Any) -> dict[str, Any]:
    cluster_wide = kind.startswith("Cluster") or kind == "PersistentVolume"
    where = {} if cluster_wide else {"namespace": "kube-system"}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **where}, **rest}


def dns() -> list[dict[str, Any]]:
    """CoreDNS, which asks the API for Services and their endpoints."""
    rbac = "rbac.authorization.k8s.io"
    read = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    ports = [{"name": f"dns-{kind.lower()}", "port": 53, "protocol": kind} for kind in ("UDP", "TCP")]
    pod = {
        "serviceAccountName": "coredns",
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "containers": [
            {
                "name": "coredns",
                "image": DNS_IMAGE,
                "args": ["-conf", "/etc/coredns/Corefile"],
                "ports": [
                    {**{k: v for k, v in p.items() if k != "port"}, "containerPort": 53} for p in ports
                ],
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
                "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
            }
        ],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    return [
        _named("ServiceAccount", "v1"),
        _named("ClusterRole", f"{rbac}/v1", rules=read),
        _named(
            "ClusterRoleBinding",
            f"{rbac}/v1",
            roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": "coredns"},
            subjects=[{"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}],
        ),
        _named("ConfigMap", "v1", data={"Corefile": _COREFILE}),
        _named(
            "Deployment",
            "apps/v1",
            spec={
                "selector": {"matchLabels": _LABELS},
                "template": {"metadata": {"labels": _LABELS}, "spec": pod},
            },
        ),
        _named("Service", "v1", "kube-dns", spec={"clusterIP": DNS, "selector": _LABELS, "ports": ports}),
    ]


def volumes(folder: Path) -> list[dict[str, Any]]:
    """Folders of the machine that any claim may have; nothing makes volumes on demand here."""
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NAME]}
    found = []
    for number in range(VOLUMES):
        place = folder / "volumes" / f"{number:02}"
        place.mkdir(parents=True)
        spec = {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Ti"},
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": str(place)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        }
        found.append(_named("PersistentVolume", "v1", f"volume-{number:02}", spec=spec))
    return found
