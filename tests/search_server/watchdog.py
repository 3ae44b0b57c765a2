"""Ends a test's programs also when the test run itself is killed and can end nothing any more."""

from __future__ import annotations

import subprocess
import sys

_WATCH = """\
import os, shutil, signal, sys
sys.stdin.read()
for group in sys.argv[2:]:
    try:
        os.killpg(int(group), signal.SIGKILL)
    except ProcessLookupError:
        pass
if sys.argv[1]:
    shutil.rmtree(sys.argv[1], ignore_errors=True)
"""


class Watchdog:
    """Waits for the end of this process, or for `close`; then kills the groups and removes the folder."""

    def __init__(self, groups: list[int], folder: str = "") -> None:
        command = [sys.executable, "-c", _WATCH, folder, *map(str, groups)]
        # The pipe's other end closes with this process, however that ends.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def close(self) -> None:
        """Kill what is left, and be gone."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
