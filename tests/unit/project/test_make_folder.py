"""Where the checkout lies: `make` works there or says why not, and takes no environment away that is used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def checkout(folder: Path) -> Path:
    """A folder of this name with what `make` reads."""
    folder.mkdir()
    for entry in ROOT.iterdir():
        if entry.name == ".github" or not entry.name.startswith("."):
            (folder / entry.name).symlink_to(entry)
    return folder


def make_environment(folder: Path) -> None:
    """An environment of the folder's own, with nothing in it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", ".venv"], cwd=folder, check=True)


def make_python(folder: Path) -> subprocess.CompletedProcess[str]:
    """`make python`, with which up, down, status and logs begin."""
    return subprocess.run(["make", "python"], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["it's a", "50% #1; & (é*?)"])
def test_an_environment_stays_whatever_the_folder_is_called(tmp_path: Path, name: str) -> None:
    folder = checkout(tmp_path / name)
    make_environment(folder)
    done = make_python(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / ".venv/bin/python").exists()


@pytest.mark.parametrize("name", ['say "hi"', "$HOME", "a`b", "a\\b", "a:b"])
def test_a_folder_in_which_no_environment_works_is_refused_before_anything_is_touched(
    tmp_path: Path, name: str
) -> None:
    folder = checkout(tmp_path / name)
    (folder / ".venv").mkdir()
    done = make_python(folder)
    assert done.returncode != 0
    assert f"this folder is {folder}, and" in done.stderr
    assert (folder / ".venv").exists()


def test_an_environment_of_another_folder_is_taken_away_unless_a_stack_runs_from_it(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "before")
    make_environment(folder)
    folder = folder.rename(tmp_path / "after")
    running = subprocess.Popen(["supervisord", "60"], executable=shutil.which("sleep"))
    try:
        pid = folder / ".dashcam/supervisor/supervisord.pid"
        pid.parent.mkdir(parents=True)
        pid.write_text(f"{running.pid}\n")
        done = make_python(folder)
        assert done.returncode != 0
        assert f"nothing was changed. End it with: kill {running.pid}" in done.stderr
        assert (folder / ".venv/bin/python").exists()
    finally:
        running.kill()
        running.wait()
    assert "made anew" in make_python(folder).stdout
    assert not (folder / ".venv").exists()


def test_nobody_is_told_to_end_a_program_that_got_the_number_of_a_stack_that_is_gone(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "before")
    make_environment(folder)
    folder = folder.rename(tmp_path / "after")
    pid = folder / ".dashcam/supervisor/supervisord.pid"
    pid.parent.mkdir(parents=True)
    pid.write_text(f"{os.getpid()}\n")
    assert "made anew" in make_python(folder).stdout
