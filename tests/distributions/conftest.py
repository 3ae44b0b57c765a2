"""Both distributions, built from a checkout full of rubbish, and an empty environment for each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("observability", "dashcam")
RUBBISH = (
    "build/lib/left.py",
    "dist/left.py",
    "left.egg-info/SOURCES.txt",
    "http/_speedups.c",
    "http/_speedups.cpython-39-somewhere.so",
    f"http/_speedups{sysconfig.get_config_var('EXT_SUFFIX')}",
    "http/__pycache__/left.pyc",
    "http/left.py.orig",
)
"""What building, running and editing leave in a checkout, below `observability`."""


def run(*command: str | Path, cwd: Path, **options: object) -> str:
    """Run a command outside of the checkout, with nothing of it on the path; what it printed."""
    environ = {key: text for key, text in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def tracked(folder: str) -> list[str]:
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", folder, cwd=ROOT)
    return [name for name in listed.splitlines() if (ROOT / name).exists()]


@dataclass(frozen=True)
class Distributions:
    """`wheels` and `sdists` by the import name of the distribution."""

    folder: Path
    wheels: dict[str, Path]
    sdists: dict[str, Path]


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Sdist and wheel of both, the wheel built from the sdist."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ["LICENSE", *(name for part in PARTS for name in tracked(part))]:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name, follow_symlinks=False)
    for name in RUBBISH:
        left = copy / "observability" / name
        left.parent.mkdir(parents=True, exist_ok=True)
        left.write_text("rubbish")
    out = tmp_path_factory.mktemp("dist")
    for part in PARTS:
        # Without isolation: with the Cython and setuptools that requirements-build.txt locks.
        build = (sys.executable, "-P", "-m", "build", "--no-isolation")
        run(*build, "--outdir", out / part, copy / part, cwd=out)
    return Distributions(
        out,
        {part: next((out / part).glob("*.whl")) for part in PARTS},
        {part: next((out / part).glob("*.tar.gz")) for part in PARTS},
    )


@dataclass(frozen=True)
class Environment:
    """An environment of its own, and an empty folder to run things in."""

    bin: Path
    folder: Path

    def run(self, *command: str | Path) -> str:
        return run(self.bin / command[0], *command[1:], cwd=self.folder)


def environment(folder: Path, *requirements: str) -> Environment:
    """An empty environment with `requirements` and what they ask for, in the locked versions."""
    uv = Path(sys.executable).with_name("uv")
    where = folder / "environment"
    run(uv, "venv", "--quiet", "--python", sys.executable, where, cwd=folder)
    # Only as constraints: what nobody requires does not come.
    limits = ROOT / "requirements-dev.txt"
    python = where / "bin" / "python"
    run(uv, "pip", "install", "--quiet", "--python", python, "-c", limits, *requirements, cwd=folder)
    empty = folder / "empty"
    empty.mkdir()
    return Environment(where / "bin", empty)


@pytest.fixture(scope="session")
def library(distributions: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The library's wheel with nothing but what it declares."""
    return environment(tmp_path_factory.mktemp("library"), str(distributions.wheels["observability"]))


@pytest.fixture(scope="session")
def tools(distributions: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel of the tools, and the library's, which it requires in its own version."""
    return environment(tmp_path_factory.mktemp("tools"), *map(str, distributions.wheels.values()))
