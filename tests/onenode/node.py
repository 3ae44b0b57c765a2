"""The programs of a node beside its containers: kubelet, scheduler, kube-proxy, and a policy engine."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml
from control_plane import ControlPlane

from dashcam.stack.ports import free_port
from dashcam.stack.tools import KUBE_PROXY, KUBE_ROUTER, KUBE_SCHEDULER, KUBELET
from onenode import autoscaling
from onenode.containers import SOCKET
from onenode.namespaces import ADDRESS

NAME = "node"
DNS = "10.96.0.10"
DOMAIN = "cluster.local"


def kubelet(folder: Path, cgroup: str) -> dict[str, Any]:
    """Its configuration: as a cluster has it, but for what the machine is not to be told."""
    never = dict.fromkeys(
        ("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available"), "0%"
    )
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(certificate(folder))},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [DNS],
        "clusterDomain": DOMAIN,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        # It fails rather than changes a setting of the whole machine; what it reads is in namespaces.py.
        "protectKernelDefaults": True,
        # A machine that is nearly full is none of a test's business.
        "evictionHard": never,
        "imageGCHighThresholdPercent": 100,
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "resolvConf": "",
        "podLogsDir": "/var/log/pods",
        "volumePluginDir": str(folder / "volume-plugins"),
        "volumeStatsAggPeriod": "10s",
        "syncFrequency": "10s",  # how soon a changed ConfigMap is in its pods
        "serializeImagePulls": False,
    }


def certificate(folder: Path) -> Path:
    """By which the kubelet knows the API server, who signs for itself."""
    return folder / "api-client.crt"


def make_certificate(folder: Path) -> list[str]:
    """Make it; what the API server is told of it, and of where a kubelet is."""
    key = folder / "api-client.key"
    subject = ("-subj", "/O=system:masters/CN=kube-apiserver-kubelet-client", "-days", "2")
    files = ("-keyout", str(key), "-out", str(certificate(folder)))
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files]
    subprocess.run(command, check=True, capture_output=True)
    return [
        *(f"--kubelet-client-certificate={certificate(folder)}", f"--kubelet-client-key={key}"),
        "--kubelet-preferred-address-types=InternalIP",
        *autoscaling.api_flags(certificate(folder), key),
    ]


def proxy(kubeconfig: Path) -> dict[str, Any]:
    """kube-proxy's configuration. It leaves connection tracking as it is, whose limits are the machine's."""
    untouched = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": ADDRESS,
        "healthzBindAddress": f"{ADDRESS}:10256",
        "metricsBindAddress": f"{ADDRESS}:10249",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "hostnameOverride": NAME,
        "mode": "iptables",
        "iptables": {"localhostNodePorts": False, "minSyncPeriod": "0s"},
        "conntrack": untouched,
        "detectLocalMode": "InterfaceNamePrefix",
        "detectLocal": {"interfaceNamePrefix": "veth"},
    }


def start(folder: Path, api: ControlPlane, cgroup: str) -> None:
    """Start them all; whether the node is ready is for its API to say."""
    (folder / "kubelet.yaml").write_text(yaml.safe_dump(kubelet(folder, cgroup)))
    (folder / "proxy.yaml").write_text(yaml.safe_dump(proxy(api.kubeconfig)))
    api.start(
        KUBE_SCHEDULER,
        *(f"--kubeconfig={api.kubeconfig}", "--leader-elect=false", f"--bind-address={ADDRESS}"),
    )
    api.start(
        KUBELET,
        *(f"--config={folder / 'kubelet.yaml'}", f"--kubeconfig={api.kubeconfig}"),
        *(f"--hostname-override={NAME}", f"--node-ip={ADDRESS}", f"--root-dir={folder / 'kubelet'}"),
        f"--cert-dir={folder / 'kubelet-certificates'}",
        "--node-labels=topology.kubernetes.io/zone=here",  # production lets no pod on a node of no zone
    )
    api.start(KUBE_PROXY, f"--config={folder / 'proxy.yaml'}")


def enforce_policies(api: ControlPlane) -> str:
    """Start who does; it ends at once unless the node is known. Where it says whether it does its work."""
    port = free_port()
    api.start(
        KUBE_ROUTER,
        *(
            "--run-firewall=true",
            "--run-router=false",
            "--run-service-proxy=false",
            "--run-loadbalancer=false",
        ),
        *(f"--kubeconfig={api.kubeconfig}", f"--hostname-override={NAME}", f"--health-port={port}"),
        *("--service-cluster-ip-range=10.96.0.0/16", "--iptables-sync-period=30s"),
    )
    return f"http://127.0.0.1:{port}/healthz"
