"""Whether the files of a program have changed, by looking."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

SECONDS = 1.0
"""How far apart two looks are."""

_SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "env", "target", "build", "dist", "vendor"})
_ENDINGS = (
    *(
        ".py",
        ".js",
        ".mjs",
        ".cjs",
        ".ts",
        ".tsx",
        ".jsx",
        ".go",
        ".java",
        ".kt",
        ".rs",
        ".rb",
        ".php",
        ".cs",
    ),
    *(".html", ".css", ".json", ".toml", ".yaml", ".yml", ".ini", ".env", ".sql", ".jar"),
)
_MOST = 20_000
"""Files looked at; a folder of more is too large to watch whole."""


class Watched:
    """The source files below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = self._times()
        self._looked = time.monotonic()

    def changed(self) -> bool:
        """Whether a file came, went or was written since the last call that looked."""
        if time.monotonic() - self._looked < SECONDS:
            return False
        now = self._times()
        changed = now != self._seen
        self._seen, self._looked = now, time.monotonic()
        return changed

    def _times(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for path in source_files(self._folder):
            try:
                found[path] = os.stat(path).st_mtime_ns
            except OSError:
                continue
        return found


def source_files(folder: Path) -> Iterator[str]:
    """The paths of the source files below a folder, without hidden folders and those that tools fill."""
    count = 0
    for here, folders, files in os.walk(folder):
        if "pyvenv.cfg" in files:  # an environment of Python, whatever it is called
            folders[:] = []
            continue
        folders[:] = [name for name in folders if name not in _SKIPPED and not name.startswith(".")]
        for name in files:
            if name.endswith(_ENDINGS) and count < _MOST:
                count += 1
                yield os.path.join(here, name)
