"""What is missing is installed where that is allowed, and named with its command everywhere else.

The package managers are small scripts on a PATH of their own, which write down how they were called.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dashcam.stack import prerequisites
from dashcam.stack.needs import (
    ALERTMANAGER,
    COMPILER,
    NEEDS,
    POSTGRESQL,
    PROMETHEUS,
    PYTHON_HEADERS,
    Need,
)


class Machine:
    """A machine with a PATH of its own, on which only what is added exists."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.calls = folder / "calls"
        self.policy = folder / "policy-rc.d"
        monkeypatch.setenv("PATH", f"{self.bin}:/usr/bin-that-is-not-there")
        monkeypatch.setattr(prerequisites, "POLICY", self.policy)
        monkeypatch.setattr(prerequisites, "has_venv", lambda: True)
        monkeypatch.setattr(os, "geteuid", lambda: 0)

    def add(self, name: str, script: str = "") -> None:
        path = self.bin / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.calls}\n{script}\n')
        path.chmod(0o755)

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_nothing_is_done_where_nothing_is_missing(machine: Machine) -> None:
    for name in ("prometheus", "alertmanager", "apt-get"):
        machine.add(name)

    assert prerequisites.main("up") == 0
    assert machine.called() == []


def test_what_is_missing_is_installed_at_once_and_kept_from_starting_now_and_at_boot(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.add("update-rc.d")
    seen, made = machine.bin.parent / "seen", machine.bin
    programs = f"/bin/cp {made}/update-rc.d {made}/prometheus; /bin/cp {made}/prometheus {made}/alertmanager"
    machine.add("apt-get", f'case "$*" in *install*) /bin/cp {machine.policy} {seen}; {programs} ;; esac')

    assert prerequisites.main("up") == 0

    assert machine.called() == [
        "apt-get -qq -o DPkg::Lock::Timeout=300 update",
        "apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "
        "prometheus prometheus-alertmanager",
        "update-rc.d prometheus disable",
        "update-rc.d prometheus-alertmanager disable",
    ]
    assert "installing with apt-get: prometheus prometheus-alertmanager" in capsys.readouterr().err
    assert seen.read_text() == prerequisites.POLICY_TEXT
    assert not machine.policy.exists()


def test_the_policy_keeps_only_the_stacks_own_services_from_starting(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    with prerequisites.services_kept_from_starting(policy):
        answers = {
            service: subprocess.run([policy, service, "start"]).returncode
            for service in ("prometheus", "prometheus-alertmanager", "postgresql", "ssh", "dbus")
        }
    assert answers == {
        "prometheus": 101,
        "prometheus-alertmanager": 101,
        "postgresql": 101,
        "ssh": 0,
        "dbus": 0,
    }
    assert not policy.exists()


def test_an_administrators_policy_stays(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 104\n")
    with prerequisites.services_kept_from_starting(policy):
        assert policy.read_text() == "#!/bin/sh\nexit 104\n"
    assert policy.exists()


def test_the_policy_goes_when_the_installation_fails(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    with pytest.raises(RuntimeError), prerequisites.services_kept_from_starting(policy):
        raise RuntimeError
    assert not policy.exists()


def test_an_installation_that_fails_is_said(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.add("apt-get", "echo 'no such mirror' >&2; exit 100")

    assert prerequisites.main("up") == 1
    assert "update` failed:\nno such mirror\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("manager", "remedy"),
    [
        ("apt-get", "sudo make prerequisites\n"),
        ("brew", "brew install prometheus\nbrew install alertmanager\n"),
        ("pacman", "sudo pacman -S prometheus alertmanager\n"),
        ("apk", "sudo apk add prometheus alertmanager\n"),
        ("none", "put `prometheus` (2.42 or newer, or 3.x; https://prometheus.io/download/) on PATH\n"),
    ],
)
def test_elsewhere_the_missing_things_are_named_with_their_command(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    manager: str,
    remedy: str,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    machine.add(manager)

    assert prerequisites.main("up") == 1

    said = capsys.readouterr().err
    assert "prometheus is missing: it stores the metrics" in said
    assert "alertmanager is missing: it groups and routes the alerts" in said
    assert remedy in said
    assert machine.called() == []


def test_the_remedy_covers_what_the_tests_need(machine: Machine) -> None:
    machine.add("apt-get")
    assert prerequisites.remedy([PROMETHEUS, POSTGRESQL]) == "sudo make prerequisites-test"
    assert prerequisites.remedy(NEEDS["guard"]) == "sudo make prerequisites-guard"


@pytest.mark.parametrize(
    ("manager", "remedy"),
    [
        ("apt-get", "sudo make prerequisites-test"),
        ("brew", "get a compiler\nbrew install python@3.11"),
        ("pacman", "sudo pacman -S gcc python"),
        ("apk", "sudo apk add gcc musl-dev python3-dev"),
        ("none", "get a compiler\nget the headers"),
    ],
)
def test_what_compiling_needs_has_a_remedy_everywhere(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, manager: str, remedy: str
) -> None:
    machine.add(manager)
    # As on Linux and for Python 3.11, wherever the tests run.
    compiler = dataclasses.replace(COMPILER, elsewhere="get a compiler")
    headers = dataclasses.replace(PYTHON_HEADERS, brew="python@3.11", elsewhere="get the headers")
    monkeypatch.setattr(prerequisites, "COMPILING", (compiler, headers))

    assert prerequisites.remedy([compiler, headers]) == remedy


def test_a_compiler_is_installed_for_the_tests_and_not_for_the_stack(machine: Machine) -> None:
    for name in ("prometheus", "alertmanager", "promtool", "amtool", "chromium", "initdb"):
        machine.add(name)
    machine.add("apt-get", f'case "$*" in *install*) /bin/cp {machine.bin}/amtool {machine.bin}/cc ;; esac')

    assert prerequisites.main("up") == 0
    assert machine.called() == []

    assert prerequisites.main("test") == 0
    assert machine.called()[-1].endswith(" install -y --no-install-recommends gcc libc6-dev")


def test_debians_and_upstreams_names_are_both_found(machine: Machine) -> None:
    assert ALERTMANAGER.path() is None
    machine.add("alertmanager")
    assert ALERTMANAGER.path() == str(machine.bin / "alertmanager")
    machine.add("prometheus-alertmanager")
    assert ALERTMANAGER.path() == str(machine.bin / "prometheus-alertmanager")


def test_a_full_path_may_be_a_pattern_and_the_newest_is_taken(tmp_path: Path) -> None:
    for version in ("15", "17"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "initdb").write_text("")
    need = Need("x", "is a test", (f"{tmp_path}/*/bin/initdb",), apt="x", brew="x", elsewhere="x")

    assert need.path() == str(tmp_path / "17" / "bin" / "initdb")


def test_a_python_without_venv_is_told_its_package(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prerequisites, "has_venv", lambda: False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert prerequisites.main("up") == 1
    assert "python venv is missing: it holds the locked Python packages" in capsys.readouterr().err


def test_it_runs_before_anything_is_installed() -> None:
    # -S: without what is installed beside the standard library.
    command = [sys.executable, "-S", "-m", "dashcam.stack.prerequisites"]
    root = Path(prerequisites.__file__).parents[2]

    alone = subprocess.run([*command, "up"], cwd=root, capture_output=True, text=True)
    wrong = subprocess.run([*command, "down"], cwd=root, capture_output=True, text=True)

    assert alone.returncode == 0, alone.stderr
    assert "usage: prerequisites up|test" in wrong.stderr
