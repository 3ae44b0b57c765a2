"""Namespaces of mounts, network, processes, messages and host name, and what has to be made within them.

What is mounted, set or filtered in them is seen by nobody else, and gone when their first process ends. Of
what the kernel has only once, a node's pods have control groups (taken away afterwards), and the kubelet
wants settings, which it is shown as it wants them instead.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ADDRESS = "10.99.0.1"
"""Of the node; it exists in the namespace only."""

OF_ITS_OWN = ("--mount", "--net", "--pid", "--ipc", "--uts")
KEPT_APART = ("/etc", "/opt", "/usr", "/var")
"""What is written there stays in the namespace; what is there can be read."""

CGROUPS = Path("/sys/fs/cgroup")

PROCESSOR = {"cpu.shares": "4096", "cpu.weight": "400"}
"""Else all pods together would count as much as one process of the machine."""

KERNEL = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}
"""What a kubelet wants of the whole machine's kernel, whose settings are none of ours."""

NETWORK = f"""\
set -e
hostname node
ip link set lo up
ip link add node0 type veth peer name node1
ip address add {ADDRESS}/24 dev node0
ip link set node0 up
ip link set node1 up
ip route add default dev node0
sysctl --quiet --write net.ipv4.ip_forward=1
"""
"""The kernel may have no dummy device; a cable to itself is as good. The route is for Services' addresses."""


def entering(namespaces: Sequence[str], command: Sequence[str]) -> list[str]:
    """`command` in new `namespaces`, as their first process; all in them is killed when this process ends."""
    unshare = ["unshare", *namespaces, "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]
    return ["setpriv", "--pdeathsig", "KILL", *unshare, *command]


def separate_files(folder: Path, but: Sequence[Path] = ()) -> None:
    """Let nothing that is written to the system's folders leave the mount namespace, except to `but`.

    /run starts empty. `folder`, which takes what is written, is not in one of them.
    """
    _mount("--make-rshared", "/")  # among mounts of this namespace alone: a pod may want to see later ones
    aside = {place: folder / "aside" / str(number) for number, place in enumerate(but)}
    for kept, there in aside.items():
        there.mkdir(parents=True)
        _mount("--bind", str(kept), str(there))
    for place in KEPT_APART:
        upper, work = (folder / f"{kind}{place}" for kind in ("written", "work"))
        upper.mkdir(parents=True)
        work.mkdir(parents=True)
        layers = f"lowerdir={place},upperdir={upper},workdir={work}"
        _mount("-t", "overlay", "-o", layers, "overlay", place)
    for kept, there in aside.items():
        _mount("--bind", str(there), str(kept))
    _mount("-t", "tmpfs", "-o", "mode=755", "run", "/run")


def separate_kernel(folder: Path) -> None:
    """Show the kubelet the settings that it wants, and make a network of the namespace."""
    for name, value in KERNEL.items():
        shown = folder / "kernel" / name
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.write_text(f"{value}\n")
        _mount("--bind", str(shown), f"/proc/sys/{name}")
    subprocess.run(["bash", "-c", NETWORK], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def reap_until(process: subprocess.Popen[bytes]) -> int:
    """Be a first process: bury those whose parents have gone, until `process` ends; its exit status."""
    while True:
        ended, status = os.wait()
        if ended == process.pid:
            return os.waitstatus_to_exitcode(status)


class ControlGroup:
    """A branch of the machine's control groups with everything that pods get; gone with the block."""

    def __init__(self, name: str) -> None:
        self.name = name

    def _roots(self) -> list[Path]:
        if (CGROUPS / "cgroup.controllers").exists():
            return [CGROUPS]
        return [each for each in CGROUPS.iterdir() if each.is_dir() and not each.is_symlink()]

    def __enter__(self) -> ControlGroup:
        for root in self._roots():
            (root / self.name).mkdir()
            for setting in ("cpuset.cpus", "cpuset.mems"):  # version 1 gives none to a new group
                if (root / setting).exists():
                    (root / self.name / setting).write_text((root / setting).read_text())
            for setting, share in PROCESSOR.items():
                if (root / self.name / setting).exists():
                    (root / self.name / setting).write_text(share)
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self, within: float = 20.0) -> None:
        """Remove the branch; processes that were killed in it may take a moment to be gone."""
        deadline = time.monotonic() + within
        while left := [each for root in self._roots() for each in [root / self.name] if each.exists()]:
            for branch in left:
                for folder, _, _ in os.walk(branch, topdown=False):
                    with suppress(OSError):
                        os.rmdir(folder)
            if time.monotonic() > deadline:
                raise RuntimeError(f"these control groups cannot be removed: {left}")
            time.sleep(0.1)


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's variables with `extra`, for a program in the namespaces."""
    return {**os.environ, **extra}
