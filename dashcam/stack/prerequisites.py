"""What the stack needs from the machine, found, installed or named with the command that gets it.

Runs before there is a virtual environment, as a script and with the standard library only:

    python3 -m dashcam.stack.prerequisites up      # what `make up` needs
    python3 -m dashcam.stack.prerequisites test    # that, and what `make test` needs

On Debian and its relatives as root, what is missing is installed with apt-get, and the services that
Debian would start from those packages (its own Prometheus on 9090, a PostgreSQL) are kept from starting
now and at boot: the stack starts its own. Everywhere else the missing things are named, all at once,
with the command that installs them, and the exit status is 1.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from dashcam.stack.needs import (
    CHROMIUM,
    COMPILER,
    COMPILING,
    CONTAINERD,
    FAKETIME,
    NEEDS,
    PODMAN,
    POSTGRESQL,
    PYTHON_HEADERS,
    VALGRIND,
    Need,
    of_this_python,
)

POLICY = Path("/usr/sbin/policy-rc.d")
"""The file that Debian's package scripts ask whether a service may be started (exit 101: no)."""

POLICY_TEXT = """#!/bin/sh
# Written by Dashcam while it installs packages, and removed right after.
case "$1" in prometheus*|alertmanager*|nats-server*|postgresql*|containerd*|podman*) exit 101 ;; esac
exit 0
"""


class InstallationError(RuntimeError):
    """A package manager failed; the message is its own."""


def has_venv() -> bool:
    """Whether this Python can make a virtual environment with pip; Debian ships the two halves apart."""
    try:
        import ensurepip  # noqa: F401 - its presence is the answer
        import venv  # noqa: F401 - its presence is the answer
    except ImportError:
        return False
    return True


def missing(purpose: str) -> list[Need]:
    """What `purpose` (one of NEEDS) needs and this machine does not have."""
    lacking = [need for need in NEEDS[purpose] if need.path() is None]
    return lacking if has_venv() else [_venv_need(), *lacking]


def _venv_need() -> Need:
    return Need(
        "python venv",
        "holds the locked Python packages",
        (),
        apt=of_this_python("venv"),
        brew=PYTHON_HEADERS.brew,
        elsewhere=f"install the `venv` and `ensurepip` modules of {sys.executable}",
    )


def remedy(needs: Sequence[Need]) -> str:
    """The command or the sentence that gets `needs` on this machine when we may not do it ourselves."""
    if shutil.which("apt-get"):
        if VALGRIND in needs:
            return "sudo make prerequisites-guard"
        if CONTAINERD in needs or PODMAN in needs:
            return "sudo make prerequisites-node"
        if FAKETIME in needs:
            return "sudo make prerequisites-clock"
        tests = {CHROMIUM, POSTGRESQL, *COMPILING} & set(needs)
        return "sudo make prerequisites-test" if tests else "sudo make prerequisites"
    if shutil.which("brew"):
        commands = (f"brew install {need.brew}" if need.brew else need.elsewhere for need in needs)
        return "\n".join(dict.fromkeys(commands))
    for manager, command in (("pacman", "pacman -S"), ("apk", "apk add")):
        if shutil.which(manager):
            packages = dict.fromkeys(name for need in needs for name in _upstream_packages(need, manager))
            return f"sudo {command} {' '.join(packages)}"
    return "\n".join(dict.fromkeys(need.elsewhere for need in needs))


def _upstream_packages(need: Need, manager: str) -> tuple[str, ...]:
    """Arch and Alpine name their packages after the projects; of the two, Arch does not split off headers."""
    split = manager == "apk"
    names = {
        "promtool": ("prometheus",),
        "amtool": ("alertmanager",),
        "python venv": ("python3",),
        COMPILER.name: ("gcc", "musl-dev") if split else ("gcc",),
        PYTHON_HEADERS.name: ("python3-dev" if split else "python",),
    }
    return names.get(need.name, (need.name,))


def install(needs: Sequence[Need]) -> None:
    """Install `needs` with apt-get, without starting their services. Raises InstallationError."""
    packages = list(dict.fromkeys(package for need in needs for package in need.apt.split()))
    services = list(dict.fromkeys(name for need in needs for name in need.services))
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    say(f"installing with apt-get: {' '.join(packages)}")
    _run([*apt, "update"])
    with services_kept_from_starting(POLICY):
        _run([*apt, "install", "-y", "--no-install-recommends", *packages])
    for service in services:
        # Else Debian's own copy would hold the port after the next boot.
        _run(["update-rc.d", service, "disable"], check=False)


def _run(command: Sequence[str], check: bool = True) -> None:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Every word of `command` is written in this file.
    done = subprocess.run(  # noqa: S603
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if check and done.returncode != 0:
        raise InstallationError(f"`{' '.join(command)}` failed:\n{done.stdout.rstrip()}")


@contextlib.contextmanager
def services_kept_from_starting(policy: Path) -> Iterator[None]:
    """Answer "no" for the block when a package wants to start its service.

    An administrator's own policy is left alone: it stays in force instead of ours.
    """
    ours = not policy.exists() or policy.read_text(errors="replace") == POLICY_TEXT
    if ours:
        policy.write_text(POLICY_TEXT)
        policy.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            policy.unlink(missing_ok=True)


def say(text: str) -> None:
    """Tell the person, beside what the command answers."""
    print(f"prerequisites: {text}", file=sys.stderr, flush=True)


def main(purpose: str) -> int:
    """Have everything `purpose` needs; 0, or 1 with what is missing and how to get it on stderr."""
    lacking = missing(purpose)
    if lacking and os.geteuid() == 0 and shutil.which("apt-get"):
        try:
            install(lacking)
        except InstallationError as error:
            say(str(error))
            return 1
        lacking = missing(purpose)
    for need in lacking:
        say(f"{need.name} is missing: it {need.purpose}")
    if lacking:
        say(f"get it with:\n\n{remedy(lacking)}\n")
    return 1 if lacking else 0


if __name__ == "__main__":
    if sys.argv[1:] not in [[purpose] for purpose in NEEDS]:
        sys.exit(f"usage: prerequisites {'|'.join(NEEDS)}")
    sys.exit(main(sys.argv[1]))
