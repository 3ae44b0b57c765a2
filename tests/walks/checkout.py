"""A checkout as a stranger has it: what git keeps and nothing else, and an environment made by `make`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def make(folder: Path) -> None:
    """Make it in `folder`, with its HOME beside it."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split(
        "\0"
    ):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder.parent / "home").mkdir()
    done = subprocess.run(["make", "venv"], cwd=folder, env=environ(folder), capture_output=True, text=True)
    if done.returncode:
        shutil.rmtree(folder)
        raise AssertionError(f"make venv failed:\n{done.stdout}{done.stderr}")


def environ(folder: Path) -> dict[str, str]:
    """This process's variables with the new HOME, and nothing of the environment that runs the tests."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL"}
    }
    return {**kept, "HOME": str(folder.parent / "home"), "UV_CACHE_DIR": str(folder.parent / "uv-cache")}
