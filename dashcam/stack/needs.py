"""Each thing that the stack and its tests need of the machine, and what the package managers call it."""

from __future__ import annotations

import glob
import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Need:
    """One thing the machine must have: how to recognise it, and what the package managers call it.

    `found_as` are names on PATH or, with a slash, patterns of full paths; any one will do. `apt` may be
    several packages, `brew` empty where Homebrew does not have it.
    """

    name: str
    purpose: str
    found_as: tuple[str, ...]
    apt: str
    brew: str
    elsewhere: str
    services: tuple[str, ...] = field(default=())

    def path(self) -> str | None:
        """Where it is, or None."""
        for name in self.found_as:
            matches = sorted(glob.glob(name), reverse=True) if "/" in name else [shutil.which(name)]
            if found := next((match for match in matches if match), None):
                return found
        return None


PROMETHEUS = Need(
    "prometheus",
    "stores the metrics and evaluates the rules",
    ("prometheus",),
    apt="prometheus",
    brew="prometheus",
    elsewhere="put `prometheus` (2.42 or newer, or 3.x; https://prometheus.io/download/) on PATH",
    services=("prometheus",),
)
ALERTMANAGER = Need(
    "alertmanager",
    "groups and routes the alerts",
    ("prometheus-alertmanager", "alertmanager"),
    apt="prometheus-alertmanager",
    brew="alertmanager",
    elsewhere="put `alertmanager` (0.25 or newer; https://prometheus.io/download/) on PATH",
    services=("prometheus-alertmanager",),
)
NATS = Need(
    "nats-server",
    "carries the messages between services",
    ("nats-server", "/usr/sbin/nats-server"),
    apt="nats-server",
    brew="nats-server",
    elsewhere="put `nats-server` (2.9 or newer; https://github.com/nats-io/nats-server/releases) on PATH",
    services=("nats-server",),
)
PROMTOOL = Need(
    "promtool",
    "checks the rules",
    ("promtool",),
    apt="prometheus",
    brew="prometheus",
    elsewhere="put `promtool` (it comes with Prometheus) on PATH",
    services=("prometheus",),
)
AMTOOL = Need(
    "amtool",
    "checks the alert routing",
    ("amtool",),
    apt="prometheus-alertmanager",
    brew="alertmanager",
    elsewhere="put `amtool` (it comes with Alertmanager) on PATH",
    services=("prometheus-alertmanager",),
)
CHROMIUM = Need(
    "chromium",
    "runs the browser tests",
    (
        "chromium",
        "chromium-browser",
        "google-chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ),
    apt="chromium",
    brew="--cask chromium",
    elsewhere="put `chromium` or `google-chrome` on PATH",
)
POSTGRESQL = Need(
    "postgresql",
    "runs the car service's tests a second time",
    (
        "/usr/lib/postgresql/*/bin/initdb",
        "/opt/homebrew/opt/postgresql@*/bin/initdb",
        "/usr/local/opt/postgresql@*/bin/initdb",
        "initdb",
    ),
    apt="postgresql",
    brew="postgresql@17",
    elsewhere="put PostgreSQL's `initdb` and `postgres` on PATH",
    services=("postgresql",),
)

VALGRIND = Need(
    "valgrind",
    "counts the instructions of a request",
    ("valgrind",),
    apt="valgrind",
    brew="valgrind",
    elsewhere="put `valgrind` (3.19 or newer, with its `callgrind_control`) on PATH",
)

CONTAINERD = Need(
    "containerd",
    "runs the containers of the tests' node",
    ("containerd",),
    apt="containerd runc",
    brew="",
    elsewhere="put `containerd`, `ctr` and `runc` on PATH",
    services=("containerd",),
)
CNI = Need(
    "the CNI plug-ins",
    "give pods their network",
    ("/usr/lib/cni/ptp",),
    apt="containernetworking-plugins",
    brew="",
    elsewhere="put the CNI plug-ins into /usr/lib/cni",
)
PODMAN = Need(
    "podman",
    "builds images",
    ("podman",),
    apt="podman",
    brew="podman",
    elsewhere="put `podman` on PATH",
)
DEBOOTSTRAP = Need(
    "debootstrap",
    "makes the base of the images",
    ("debootstrap",),
    apt="debootstrap",
    brew="",
    elsewhere="put `debootstrap` on PATH",
)
PACKET_FILTER = Need(
    "ipset",
    "filters what pods send",
    ("ipset",),
    apt="ipset iptables conntrack",
    brew="",
    elsewhere="put `iptables`, `ipset` and `conntrack` on PATH",
)


FAKETIME = Need(
    "libfaketime",
    "runs the tests under another date",
    ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1"),
    apt="faketime",
    brew="",
    elsewhere="install libfaketime (0.9.10 or newer) where a Linux distribution puts it",
)


def of_this_python(part: str) -> str:
    """The package of Debian with a `part` of this Python (`venv`, `dev`)."""
    # Debian's own python3 has its package `python3-venv`; another version's is named after it.
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    own = os.path.realpath(sys.executable) == os.path.realpath("/usr/bin/python3")
    return f"python3-{part}" if own else f"python{version}-{part}"


COMPILER = Need(
    "a C compiler",
    "compiles the request path",
    # On macOS the names on PATH are there without a compiler: they offer to install one.
    (
        "/Library/Developer/CommandLineTools/usr/bin/clang",
        "/Applications/Xcode*.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/bin/clang",
    )
    if sys.platform == "darwin"
    else ((sysconfig.get_config_var("CC") or "cc").split()[0], "cc", "gcc", "clang"),
    apt="gcc libc6-dev",
    brew="",
    elsewhere="xcode-select --install"
    if sys.platform == "darwin"
    else "put a C compiler (`cc`; gcc or clang, with the headers of the C library) on PATH",
)
PYTHON_HEADERS = Need(
    "Python.h",
    "lets C be compiled for this Python",
    (f"{glob.escape(sysconfig.get_path('include'))}/Python.h",),
    apt=of_this_python("dev"),
    brew=f"python@{sys.version_info.major}.{sys.version_info.minor}",
    elsewhere=f"install the C headers that belong to {sys.executable}",
)
COMPILING = (COMPILER, PYTHON_HEADERS)

NEEDS: dict[str, tuple[Need, ...]] = {
    "up": (PROMETHEUS, ALERTMANAGER, NATS),
    "test": (PROMETHEUS, ALERTMANAGER, NATS, PROMTOOL, AMTOOL, CHROMIUM, POSTGRESQL, *COMPILING),
    "guard": (VALGRIND, *COMPILING),
    "node": (CONTAINERD, CNI, PODMAN, DEBOOTSTRAP, PACKET_FILTER),
    "clock": (FAKETIME,),
}
