"""containerd in the namespaces: with a network for pods, and the images that it shall know."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from polling import until

SOCKET = Path("/run/containerd/containerd.sock")
"""Where cAdvisor looks for it: of containers elsewhere it sees the pods alone."""

PLUGINS = "/usr/lib/cni"
PAUSE = "localhost/pause:1"
PLENTY = 12 * 2**30
"""Bytes of free memory: images and what containers write take four of them, the pods five."""

POD_ADDRESSES = "10.244.0.0/16"


def configuration(folder: Path) -> str:
    """containerd's, with all of its files in `folder`."""
    cri = '[plugins."io.containerd.grpc.v1.cri"'
    return f"""\
version = 2
root = {json.dumps(str(folder / "containerd"))}
{cri}]
sandbox_image = "{PAUSE}"
stream_server_address = "127.0.0.1"
stream_server_port = "0"
# Where a process may not be made dearer than its parent, as without CAP_SYS_RESOURCE, no pod would start.
restrict_oom_score_adj = true
{cri}.cni]
bin_dir = "{PLUGINS}"
conf_dir = {json.dumps(str(folder / "cni"))}
"""


def network(folder: Path) -> dict[str, object]:
    """Each pod at a cable of its own: all that it sends is routed by the node, and so passes its filters."""
    addresses = {
        "type": "host-local",
        "dataDir": str(folder / "cni-data"),
        "ranges": [[{"subnet": POD_ADDRESSES}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [
        {"type": "ptp", "ipam": addresses},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": plugins}


def start(folder: Path) -> None:
    """Start containerd and wait until it answers. It ends with the namespaces, as its containers do."""
    keep_in_memory(folder / "containerd")
    (folder / "containerd.toml").write_text(configuration(folder))
    (folder / "cni").mkdir()
    (folder / "cni" / "10-pods.conflist").write_text(json.dumps(network(folder)))
    log = folder / "containerd.log"
    with log.open("wb") as output:
        command = ["containerd", "--config", str(folder / "containerd.toml")]
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)

    def answers() -> bool:
        assert process.poll() is None, f"containerd has ended: {log.read_text()[-2000:]}"
        return subprocess.run(["ctr", "version"], capture_output=True).returncode == 0

    until(answers, f"containerd; see {log}", within=60, every=0.2)


def keep_in_memory(place: Path) -> None:
    """Make the folder, in memory where there is plenty: else most of the start is writing images to disk."""
    place.mkdir()
    found = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
    if found and int(found[1]) * 1024 > PLENTY:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=711,size=50%", "images", str(place)], check=True)


def load(archive: Path) -> None:
    """Let it know the images of `archive`, under their names there; the archive is gone then."""
    done = subprocess.run(
        ["ctr", "--namespace", "k8s.io", "images", "import", str(archive)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    archive.unlink()
