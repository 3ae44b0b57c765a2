"""A test run that is killed leaves no program behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
from polling import until

TESTS = Path(__file__).parents[1]

RUN = """
import subprocess, sys, time
from watchdog import Watchdog

parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
program = subprocess.Popen([sys.executable, "-c", parent], start_new_session=True)
touch = [sys.executable, "-c", "import pathlib, sys; pathlib.Path(sys.argv[1]).touch()", sys.argv[1]]
Watchdog([program.pid], command=touch)
print(program.pid, flush=True)
time.sleep(600)
"""


def test_what_a_killed_run_has_started_is_ended(tmp_path: Path) -> None:
    done = tmp_path / "done"
    told = {**os.environ, "PYTHONPATH": str(TESTS)}
    run = subprocess.Popen([sys.executable, "-c", RUN, str(done)], env=told, stdout=subprocess.PIPE)
    with run:
        assert run.stdout is not None
        program = psutil.Process(int(run.stdout.readline()))
        (child,) = until(program.children, "the program's own child")
        run.send_signal(signal.SIGKILL)
    until(done.exists, "the command that follows")
    until(lambda: not any(map(alive, (program, child))), "the end of the program and its child")


def alive(process: psutil.Process) -> bool:
    """Whether it still runs; one that has ended and that nobody has asked about is gone."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
