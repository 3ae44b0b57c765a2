"""Packages of npm that a test brings locked, beside itself."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path


def installed(source: Path, folder: Path) -> Path:
    """`folder`, made as a copy of `source` with exactly the packages that its lock names."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return folder


def locked(source: Path, package: str) -> str:
    """The version of `package` that the lock of `source` names."""
    lock = json.loads((source / "package-lock.json").read_text())
    return str(lock["packages"][f"node_modules/{package}"]["version"])
