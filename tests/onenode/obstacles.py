"""Whether a cluster can be made on this machine, and if not, why."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from onenode.containers import PLUGINS
from onenode.namespaces import CGROUPS, OF_ITS_OWN, entering

PROGRAMS = (
    *("containerd", "ctr", "runc", "podman", "debootstrap", "iptables", "ipset", "apt-get"),
    *("unshare", "setpriv", "mount", "ip", "sysctl", "openssl"),
)

CONTROLLERS = {"cpu", "cpuset", "memory", "pids"}
"""By which a kubelet limits pods."""

ATTEMPTS = {
    "mount an overlay": "mkdir u w m && mount -t overlay -o lowerdir=/etc,upperdir=u,workdir=w overlay m",
    "show a setting of the kernel as another": (
        "echo 1 > one && mount --bind one /proc/sys/vm/overcommit_memory"
    ),
    "make a network device": "ip link add node0 type veth peer name node1",
    "route between pods": "sysctl --quiet --write net.ipv4.ip_forward=1",
    "translate addresses": (
        "iptables -t nat -A POSTROUTING -m statistic --mode random --probability 0.5 -j MASQUERADE"
    ),
    "filter by sets of addresses": (
        "ipset create x hash:ip && iptables -A FORWARD -m set --match-set x src -j REJECT"
    ),
}
"""What is tried in namespaces, in a folder that is thrown away."""


ELSEWHERE = (
    "Point the tests at a cluster that you have instead: make test-cluster CONTEXT=name (`kubectl config "
    "get-contexts` lists them; k8s/README.md makes one with kind)."
)


def obstacles() -> list[str]:
    """Each reason in words; none where a cluster can be made."""
    if platform.system() != "Linux":
        return [f"a node runs on Linux, and this is {platform.system()}"]
    if os.geteuid() != 0:
        return ["namespaces, containers and a kubelet need root"]
    if lacking := [name for name in PROGRAMS if shutil.which(name) is None]:
        return [f"these programs are missing: {', '.join(lacking)} (Debian: make prerequisites-node)"]
    if not Path(PLUGINS, "ptp").exists():
        return [
            f"the CNI plug-ins are not in {PLUGINS} (Debian: apt-get install containernetworking-plugins)"
        ]
    return [*_control_groups(), *_namespaces()]


def _control_groups() -> list[str]:
    memory = CGROUPS / "memory"
    if not (memory if memory.exists() else CGROUPS).exists() or not os.access(CGROUPS, os.W_OK):
        return [f"control groups cannot be made in {CGROUPS}"]
    passed_on = CGROUPS / "cgroup.subtree_control"  # of version 2
    if passed_on.exists() and (lacking := sorted(CONTROLLERS - set(passed_on.read_text().split()))):
        said = f"control groups in {CGROUPS} are not given {', '.join(lacking)}"
        return [f"{said}; in a container: run it with the host's (docker run --privileged --cgroupns=host)"]
    return []


def _namespaces() -> list[str]:
    empty = subprocess.run(entering(OF_ITS_OWN, ["true"]), capture_output=True, text=True)
    if empty.returncode:
        return [f"namespaces cannot be made: {empty.stderr.strip()}"]
    found = []
    for what, script in ATTEMPTS.items():
        with tempfile.TemporaryDirectory() as folder:
            command = entering(OF_ITS_OWN, ["bash", "-c", script])
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
            if done.returncode:
                found.append(f"in namespaces of its own root cannot {what}: {done.stderr.strip()}")
    return found


def main() -> int:
    """Say what is in the way, and what to do instead; 1 where something is."""
    if found := obstacles():
        print("node: no cluster can be made on this machine:", *(f"  {each}" for each in found), sep="\n")
        print(ELSEWHERE)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
