"""Whether the machine is as it was: what a node could leave behind, before and after."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from onenode.namespaces import CGROUPS, KERNEL

SETTINGS = (
    *(name.replace("/", ".") for name in KERNEL),
    *("vm.max_map_count", "net.ipv4.ip_forward", "net.ipv4.conf.all.route_localnet"),
    *("net.netfilter.nf_conntrack_max", "net.bridge.bridge-nf-call-iptables", "kernel.hostname"),
)


GROUPS = ("kubepods", "libpod")
"""What the control groups of containers are called."""

OF_A_RUN = re.compile(r"/dashcam-\d+(/|$)")
"""The branches of this and of other runs, each of which takes its own away, or fails."""

IMAGES = (
    "/var/lib/containers/storage/overlay-images/*",
    "/var/lib/containerd/io.containerd.content.v1.content/blobs/*/*",
    "/var/lib/docker/image/*/imagedb/content/*/*",
)
"""Where the engines of the machine keep what they know of images."""

MARK = "DASHCAM_NODE"
"""The variable by which the processes of a run are known; what is in pods is in its control group."""


class Changed(AssertionError):
    """Something of the machine is not as it was; the message says what."""


def seen() -> dict[str, set[str]]:
    """Kernel settings, mounts, packet filters, network devices, images, and groups of containers."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    filters = _said("iptables-save").splitlines()
    return {
        "kernel settings": {f"{name} = {_said('sysctl', '-n', name)}" for name in SETTINGS},
        "mounts": {" ".join(line.split()[2:5]) for line in mounts},
        "packet filters": {re.sub(r"\[\d+:\d+\]", "", line) for line in filters if line[:1] != "#"},
        "sets of addresses": set(_said("ipset", "list", "-name").split()),
        "network devices": {line.split(":")[1] for line in _said("ip", "-oneline", "link").splitlines()},
        "images": {str(path) for pattern in IMAGES for path in Path("/").glob(pattern[1:])},
        "control groups": {
            str(path)
            for name in GROUPS
            for path in CGROUPS.glob(f"**/{name}*")
            if not OF_A_RUN.search(str(path))
        },
    }


@contextmanager
def unchanged(run: str) -> Iterator[None]:
    """Raises Changed after the block where it left or took anything, or left a process of the `run`."""
    before = {**seen(), "processes": set[str]()}
    yield
    after = {**seen(), "processes": marked(run)}
    found = [
        f"{what}: {sign} {each}"
        for what in before
        for sign, some in (("now", after[what] - before[what]), ("gone", before[what] - after[what]))
        for each in sorted(some)
    ]
    if found:
        raise Changed("the machine is not as it was:\n  " + "\n  ".join(found))


def marked(run: str) -> set[str]:
    """The processes that were started for a run, by its name in their variables."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{MARK}={run}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.add((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()
