"""Whether the machine is as it was: what a node could leave behind, before and after."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onenode.namespaces import CGROUPS, KERNEL

SETTINGS = (
    *(name.replace("/", ".") for name in KERNEL),
    *("vm.max_map_count", "net.ipv4.ip_forward", "net.ipv4.conf.all.route_localnet"),
    *("net.netfilter.nf_conntrack_max", "net.bridge.bridge-nf-call-iptables", "kernel.hostname"),
)


class Changed(AssertionError):
    """Something of the machine is not as it was; the message says what."""


def seen() -> dict[str, set[str]]:
    """Kernel settings, mounts, packet filters, sets of addresses, network devices, and groups of pods."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    filters = _said("iptables-save").splitlines()
    return {
        "kernel settings": {f"{name} = {_said('sysctl', '-n', name)}" for name in SETTINGS},
        "mounts": {" ".join(line.split()[2:5]) for line in mounts},
        "packet filters": {re.sub(r"\[\d+:\d+\]", "", line) for line in filters if line[:1] != "#"},
        "sets of addresses": set(_said("ipset", "list", "-name").split()),
        "network devices": {line.split(":")[1] for line in _said("ip", "-oneline", "link").splitlines()},
        "control groups": {str(path) for path in CGROUPS.glob("**/kubepods*")},
    }


@contextmanager
def unchanged() -> Iterator[None]:
    """Raises Changed after the block where it left or took anything."""
    before = seen()
    yield
    after = seen()
    found = [
        f"{what}: {sign} {each}"
        for what in before
        for sign, some in (("now", after[what] - before[what]), ("gone", before[what] - after[what]))
        for each in sorted(some)
    ]
    if found:
        raise Changed("the machine is not as it was:\n  " + "\n  ".join(found))


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()
