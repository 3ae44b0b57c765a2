"""The request path is compiled where that can be done, and never left in the state of older sources.

A small module stands in for the real one: the same setup.py, a second to compile.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from dashcam.stack import compiling
from dashcam.stack.needs import COMPILER, PYTHON_HEADERS

SOURCE = compiling.SOURCES[0]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout of as much as is compiled from, an hour old."""
    folder = tmp_path / "checkout"
    (folder / SOURCE).parent.mkdir(parents=True)
    (folder / SOURCE).write_text("def answer():\n    return 42\n")
    for source in compiling.SOURCES[1:]:
        shutil.copy(compiling.ROOT / source, folder / source)
    for source in compiling.SOURCES:
        age(folder / source, seconds=3600)
    return folder


def age(path: Path, seconds: float) -> None:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def compiled(root: Path) -> list[str]:
    return sorted(path.name for path in (root / SOURCE).parent.iterdir() if path.suffix != ".pyx")


def refuse(*args: object, **kwargs: object) -> None:
    raise AssertionError("it was compiled although nothing had changed")


@pytest.fixture
def failing_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "cc"
    script.write_text("#!/bin/sh\necho 'internal compiler error: out of luck' >&2\nexit 4\n")
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))


def test_the_module_is_compiled_once_to_the_same_bytes_anywhere_and_nothing_else_is_left(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = Path(shutil.copytree(root, root.with_name("another-checkout")))
    assert compiling.main(root) == 0
    assert compiled(root) == [compiling.built(root).name]
    assert not (root / "build").exists()

    answer = "from observability.http._speedups import answer; print(answer())"
    done = subprocess.run([sys.executable, "-c", answer], cwd=root, capture_output=True, text=True)
    assert done.stdout == "42\n", done.stderr

    capsys.readouterr()
    monkeypatch.setattr(compiling, "compile_in_place", refuse)
    assert compiling.main(root) == 0
    assert capsys.readouterr().err == ""

    monkeypatch.undo()
    compiling.compile_in_place(elsewhere)
    assert compiling.built(elsewhere).read_bytes() == compiling.built(root).read_bytes()


@pytest.mark.parametrize("source", compiling.SOURCES)
def test_it_is_compiled_anew_when_a_source_has_changed(
    root: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    made: list[Path] = []
    monkeypatch.setattr(compiling, "compile_in_place", made.append)
    compiling.built(root).write_text("of before")
    age(compiling.built(root), seconds=60)

    assert compiling.main(root) == 0
    assert made == []

    os.utime(root / source)
    compiling.main(root)
    assert made == [root]


@pytest.mark.usefixtures("failing_compiler")
def test_where_the_compiler_fails_its_last_lines_are_said_and_no_older_module_stays(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other_python = compiling.built(root).with_name("_speedups.cpython-399-x86_64-linux-gnu.so")
    for module in (compiling.built(root), other_python):
        module.write_text("of before")
        age(module, seconds=7200)

    assert compiling.main(root) == 1

    said = capsys.readouterr().err
    assert "it failed: services run in pure Python, at a higher cost a request" in said
    assert said.endswith("\ninternal compiler error: out of luck\n")
    assert compiled(root) == []


def test_a_source_that_cython_refuses_is_said_with_its_line(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / SOURCE).write_text("def answer(:\n")

    assert compiling.main(root) == 1
    assert "http/_speedups.pyx:1:11" in capsys.readouterr().err


@pytest.mark.usefixtures("failing_compiler")
def test_an_installation_goes_on_where_it_cannot_be_compiled(root: Path) -> None:
    for source in ("def answer():\n    return 42\n", "def answer(:\n"):
        (root / SOURCE).write_text(source)
        done = subprocess.run(
            [sys.executable, "-P", "setup.py", "-q", "build_ext"],
            cwd=root / "observability",
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("manager", "advice"),
    [("apt-get", "apt-get install gcc libc6-dev python3"), ("brew", "get a compiler; brew install python@3")],
)
def test_without_compiler_and_headers_one_line_says_what_that_means_and_how_to_get_them(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    manager: str,
    advice: str,
) -> None:
    program = tmp_path / "bin" / manager
    program.parent.mkdir()
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    nowhere = (f"{tmp_path}/nowhere",)
    elsewhere = "get a compiler"
    for name, need in (("COMPILER", COMPILER), ("PYTHON_HEADERS", PYTHON_HEADERS)):
        absent = dataclasses.replace(need, found_as=nowhere, elsewhere=elsewhere)
        monkeypatch.setattr(compiling, name, absent)
    compiling.built(root).write_text("of before")
    age(compiling.built(root), seconds=7200)

    assert compiling.main(root) == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert "a C compiler and Python.h missing: services run in pure Python, at a higher cost" in line
    assert f"compiled: {advice}" in line
    assert compiled(root) == []


def test_another_compiler_serves_where_the_one_this_python_was_built_with_is_not(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = COMPILER.path()
    script = tmp_path / "another-cc"
    script.write_text(f'#!/bin/sh\necho used >> {tmp_path}/calls\nexec {real} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(compiling, "COMPILER", dataclasses.replace(COMPILER, found_as=(str(script),)))
    monkeypatch.delenv("CC", raising=False)
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    said = {"EXT_SUFFIX": suffix, "CC": "cc-that-is-not-there -pthread"}
    monkeypatch.setattr(sysconfig, "get_config_var", said.get)

    compiling.compile_in_place(root)

    assert compiling.built(root).exists()
    assert (tmp_path / "calls").read_text().split() == ["used", "used"], "to compile and to link"
