"""A node for the API of tests/apiserver: containerd and a kubelet on this machine, while a block lasts.

Needs root, containerd, runc, the CNI plugins and podman's images of the services. The kubelet changes kernel
settings of the machine; they are put back. Nothing listens but on loopback.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml
from monitoring import program

from dashboards.tests.recorder.programs import HOST, Ports
from dashcam.stack.tools import KUBELET

NAME = "node"
PAUSE = "localhost/pause:1"
# Where cAdvisor looks for it: of containers elsewhere it sees the pods alone.
SOCKET = Path("/run/containerd/containerd.sock")
PLUGINS = "/usr/lib/cni"
CHANGED = ("vm.overcommit_memory", "kernel.panic", "kernel.panic_on_oops", "net.ipv4.ip_forward")


class Node:
    """What the recorder asks a running node."""

    def __init__(self, url: str) -> None:
        self.url = url

    def page(self, path: str) -> str:
        """One of the kubelet's pages of metrics."""
        # Its certificate is its own; what is read is what it says of itself, over loopback.
        return httpx.get(f"{self.url}{path}", verify=False, timeout=20).raise_for_status().text


@contextmanager
def node(folder: Path, kubeconfig: Path, images: Sequence[str]) -> Iterator[Node]:
    """A node called :data:`NAME` that runs what the API gives it, and knows podman's `images`."""
    assert os.geteuid() == 0, "a kubelet runs as root"
    assert not SOCKET.exists(), f"{SOCKET} is there: this machine runs a containerd of its own"
    ports = Ports()
    with _kernel_settings(), _containerd(folder):
        _load(folder, images)
        (folder / "kubelet.yaml").write_text(yaml.safe_dump(_configuration(folder, ports)))
        command = (
            *(KUBELET.path(), f"--config={folder / 'kubelet.yaml'}", f"--kubeconfig={kubeconfig}"),
            *(f"--hostname-override={NAME}", f"--node-ip={HOST}", f"--root-dir={folder / 'kubelet'}"),
        )
        with program(*command, log=folder / "kubelet.log", ready=ports.url("health", "/healthz")):
            yield Node(f"https://{ports.address('kubelet')}")


def _configuration(folder: Path, ports: Ports) -> dict[str, object]:
    never = dict.fromkeys(
        ("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available"), "0%"
    )
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": HOST,
        "port": ports["kubelet"],
        "healthzBindAddress": HOST,
        "healthzPort": ports["health"],
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "makeIPTablesUtilChains": False,
        "evictionHard": never,
        "imageGCHighThresholdPercent": 100,
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "resolvConf": "",
        "podLogsDir": str(folder / "pod-logs"),
        "volumeStatsAggPeriod": "5s",
    }


@contextmanager
def _kernel_settings() -> Iterator[None]:
    """Put back, at the end, what the kubelet and the CNI plugins set."""
    before = [
        subprocess.run(["sysctl", name], check=True, capture_output=True, text=True)
        .stdout.replace(" ", "")
        .strip()
        for name in CHANGED
    ]
    try:
        yield
    finally:
        subprocess.run(["sysctl", "--quiet", "--write", *before], check=True)


@contextmanager
def _containerd(folder: Path) -> Iterator[None]:
    cri = {
        "sandbox_image": PAUSE,
        "disable_tcp_service": True,
        "stream_server_address": HOST,
        "stream_server_port": "0",
        # Without CAP_SYS_RESOURCE a process may not be made dearer than its parent.
        "restrict_oom_score_adj": True,
        "cni": {"bin_dir": PLUGINS, "conf_dir": str(folder / "cni")},
    }
    lines = [
        "version = 2",
        f'root = "{folder / "containerd"}"',
        f'state = "{folder / "containerd-state"}"',
        f'[grpc]\naddress = "{SOCKET}"',
        '[plugins."io.containerd.grpc.v1.cri"]',
        *(f"{key} = {json.dumps(value)}" for key, value in cri.items() if not isinstance(value, dict)),
        '[plugins."io.containerd.grpc.v1.cri".cni]',
        *(f"{key} = {json.dumps(value)}" for key, value in cri["cni"].items()),  # type: ignore[attr-defined]
    ]
    (folder / "containerd.toml").write_text("\n".join(lines) + "\n")
    network = {
        "type": "ptp",
        "ipam": {
            "type": "host-local",
            "dataDir": str(folder / "cni-data"),
            "ranges": [[{"subnet": "10.244.7.0/24"}]],
        },
    }
    (folder / "cni").mkdir()
    listed = {"cniVersion": "0.4.0", "name": "pods", "plugins": [network]}
    (folder / "cni" / "10-pods.conflist").write_text(json.dumps(listed))
    with (folder / "containerd.log").open("wb") as log:
        process = subprocess.Popen(
            ["containerd", "--config", str(folder / "containerd.toml")], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 30
        while subprocess.run(["ctr", "version"], capture_output=True).returncode:
            assert time.monotonic() < deadline, f"waited 30 s for containerd; see {folder / 'containerd.log'}"
            time.sleep(0.2)
        yield
    finally:
        _end_pods()
        process.terminate()
        process.wait(20)
        SOCKET.unlink(missing_ok=True)


def _end_pods() -> None:
    """Kill what still runs: containers outlive both containerd and the kubelet."""
    ctr = ("ctr", "--namespace", "k8s.io")
    listed = subprocess.run([*ctr, "tasks", "list", "--quiet"], capture_output=True, text=True)
    for task in listed.stdout.split():
        subprocess.run([*ctr, "tasks", "kill", "--signal", "SIGKILL", "--all", task], capture_output=True)
        subprocess.run([*ctr, "tasks", "delete", "--force", task], capture_output=True)


def _load(folder: Path, images: Sequence[str]) -> None:
    """Hand podman's images to containerd under the names that the manifests use, and a pause image."""
    containerfile = folder / "Containerfile"
    containerfile.write_text(f'FROM {images[0].split("=")[0]}\nENTRYPOINT ["/bin/sleep", "infinity"]\n')
    subprocess.run(
        ["podman", "build", "--quiet", "--tag", PAUSE, "--file", containerfile, folder], check=True
    )
    for each in (*images, f"{PAUSE}={PAUSE}"):
        ours, _, theirs = each.partition("=")
        archive = folder / "image.tar"
        subprocess.run(["podman", "save", "--quiet", "--output", archive, ours], check=True)
        ctr = ("ctr", "--namespace", "k8s.io", "images")
        subprocess.run([*ctr, "import", archive], check=True, capture_output=True)
        archive.unlink()
        if theirs != ours:
            subprocess.run([*ctr, "tag", "--force", ours, theirs], check=True, capture_output=True)
