"""Ends a test's programs also when the test run itself is killed and can end nothing any more."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence

_WATCH = """\
import os, shutil, signal, subprocess, sys
sys.stdin.read()
folder, groups, command = sys.argv[1], sys.argv[2], sys.argv[3:]
for group in groups.split():
    try:
        os.killpg(int(group), signal.SIGKILL)
    except ProcessLookupError:
        pass
if command:
    subprocess.run(command, stdin=subprocess.DEVNULL)
if folder:
    shutil.rmtree(folder, ignore_errors=True)
"""


class Watchdog:
    """Waits for the end of this process, or for `close`; then kills process groups and clears up after them.

    That is, it runs `command`, with the variables of `environ` (this process's where it is None), and removes
    `folder`.
    """

    def __init__(
        self,
        groups: Sequence[int] = (),
        folder: str = "",
        command: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        watch = [sys.executable, "-I", "-S", "-c", _WATCH, folder, " ".join(map(str, groups)), *command]
        # The pipe's other end closes with this process, however that ends.
        self._process = subprocess.Popen(watch, stdin=subprocess.PIPE, env=environ, start_new_session=True)

    def close(self) -> None:
        """Do now what the end of this process would bring, and be gone."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def dismiss(self) -> None:
        """Be gone and do nothing: what was watched has ended in good order."""
        self._process.kill()
        self._process.wait(30)
        assert self._process.stdin is not None
        self._process.stdin.close()
