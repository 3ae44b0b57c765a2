"""A container engine for the tests of images where no image registry can be reached.

    PYTHONPATH=tests:tests/apiserver python -m onenode.engine -- COMMAND     # as root

runs COMMAND with ENGINE, BASE and what else `make test-images` takes: podman with the storage of images.py,
on the base that debootstrap made. Mounts, processes and control groups end with the command.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from watchdog import Watchdog

from dashcam.stack.tool_recipes import cache
from onenode.images import BASE, BUILDING, Podman
from onenode.namespaces import ControlGroup, entering, reap_until, separate_files
from onenode.unchanged import MARK, unchanged

LIMITS = "--ulimit nofile=1024:1024 --ulimit nproc=1024:1024"
"""Those that podman would set are higher than what a machine may allow."""


def configured(folder: Path, group: str) -> Mapping[str, str]:
    """Variables with which `podman` alone is that of images.py, for containers in a control group."""
    storage, engine = folder / "storage.conf", folder / "containers.conf"
    root = cache().parent / "images"
    storage.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{root}"\nrunroot = "/run/podman"\n')
    engine.write_text(
        '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n'
        '[containers]\nlog_driver = "k8s-file"\n'
    )
    told = [f"--build-arg {name}={os.environ[name]}" for name in ("PIP_INDEX_URL",) if name in os.environ]
    return {
        "CONTAINERS_STORAGE_CONF": str(storage),
        "CONTAINERS_CONF": str(engine),
        "ENGINE": "podman",
        "ENGINE_FLAGS": " ".join([*BUILDING, *told]),
        "RUN_FLAGS": f"{LIMITS} --cgroup-parent=/{group}",
        "BASE": BASE,
    }


def inside(folder: Path, group: str, command: Sequence[str]) -> int:
    """In the namespaces: have the base, and run the command."""
    separate_files(folder, [cache().parent])
    Podman(cache().parent / "images").base()
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return reap_until(subprocess.Popen(command, env={**environ, **configured(folder, group)}))


def main(command: Sequence[str]) -> int:
    """The command's exit status. Raises Changed where the machine is not as it was."""
    name = f"dashcam-{os.getpid()}"
    environ = {**os.environ, MARK: name}
    cache().mkdir(parents=True, exist_ok=True)
    with unchanged(name), tempfile.TemporaryDirectory(prefix="dashcam-engine-", dir="/tmp") as folder:
        clear_up = [sys.executable, "-m", "onenode.leftovers", name]
        watchdog = Watchdog(folder=folder, command=clear_up, environ=environ)
        try:
            with ControlGroup(name):
                within = [sys.executable, "-m", "onenode.engine", "inside", folder, name, *command]
                return subprocess.run(entering(("--mount", "--pid"), within), env=environ).returncode
        finally:
            watchdog.dismiss()


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[0] == "inside":
        sys.exit(inside(Path(words[1]), words[2], words[3:]))
    sys.exit(main(words[1:]))
