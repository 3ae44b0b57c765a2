"""Which processes belong to a stack, whatever became of its supervisor.

Every process that `make up` starts carries its state folder in the environment variable
DASHCAM_STACK, and its children inherit it. So they are found again after supervisord was killed,
after the state folder was deleted, and never confused with another process of the same name or,
after a reboot, of the same id.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

MARK = "DASHCAM_STACK"


def marked(state_dir: Path) -> list[psutil.Process]:
    """The living processes of the stack of `state_dir` that this user may see, without the caller."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get(MARK) == str(state_dir)
            if mine and process.pid != psutil.Process().pid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # it has ended, or belongs to another user
    return found


def end(state_dir: Path, grace: float) -> list[psutil.Process]:
    """End every process of the stack: SIGTERM, and SIGKILL after `grace` seconds.

    Answers the processes that were still there. A process started meanwhile is found too.
    """
    ended: list[psutil.Process] = []
    while processes := marked(state_dir):
        ended += processes
        for process in processes:
            _signal(process, "terminate")
        _, stubborn = psutil.wait_procs(processes, timeout=grace)
        for process in stubborn:
            _signal(process, "kill")
        psutil.wait_procs(stubborn, timeout=5)
    return ended


def _signal(process: psutil.Process, method: str) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        getattr(process, method)()
