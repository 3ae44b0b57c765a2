"""`python -m onenode [-- COMMAND]`: a cluster of one node while COMMAND runs, or a shell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from watchdog import Watchdog

from onenode import obstacles
from onenode.namespaces import OF_ITS_OWN, ControlGroup, entering
from onenode.unchanged import MARK, unchanged

TESTS = Path(__file__).parents[1]
MODULES = (TESTS.parent, TESTS, TESTS / "apiserver", TESTS / "k8s")


def main(command: Sequence[str]) -> int:
    """The exit status of the command; 1, with the reasons, where no cluster can be made on this machine."""
    if said := obstacles.main():
        return said
    name = f"dashcam-{os.getpid()}"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, MODULES)), MARK: name}
    clear_up = [sys.executable, "-m", "onenode.leftovers", name]
    with unchanged(name), tempfile.TemporaryDirectory(prefix="dashcam-node-", dir="/tmp") as folder:
        watchdog = Watchdog(folder=folder, command=clear_up, environ=environ)
        try:
            with ControlGroup(name):
                images = [sys.executable, "-m", "onenode.images", folder]
                if status := _run(entering(("--mount", "--pid"), images), environ):
                    return status
                inside = [sys.executable, "-m", "onenode.cluster", folder, name, *command]
                return _run(entering(OF_ITS_OWN, inside), environ)
        finally:
            watchdog.dismiss()


def _run(command: Sequence[str], environ: dict[str, str]) -> int:
    """Wait for it, whatever is pressed; what asks us to end is passed on."""
    process = subprocess.Popen(command, env=environ)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # else the next one would be started so
    signal.signal(signal.SIGTERM, lambda *_: _pass_on(process))
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)


def _pass_on(process: subprocess.Popen[bytes]) -> None:
    # unshare itself would take the first process of the namespaces along, before that could say why it ended.
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for each in children or [str(process.pid)]:
        os.kill(int(each), signal.SIGTERM)


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(words[1:] if words[:1] == ["--"] else words or [os.environ.get("SHELL", "bash")]))
