"""The tests' own node says why it cannot be, and sees what it would leave behind."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest
from onenode import obstacles, unchanged
from polling import until


@pytest.fixture(autouse=True)
def linux_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    assert obstacles.main() == 1
    return capsys.readouterr().out


def test_without_root_it_says_so_and_how_to_use_a_cluster(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    text = said(capsys)
    assert "need root" in text
    assert "make test-cluster CONTEXT=name" in text


def test_missing_programs_are_named_with_what_installs_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {"containerd": None, "ipset": None}
    monkeypatch.setattr(shutil, "which", lambda name: found.get(name, f"/usr/bin/{name}"))
    text = said(capsys)
    assert "these programs are missing: containerd, ipset (Debian: make prerequisites-node)" in text


def test_elsewhere_than_on_linux_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert "a node runs on Linux, and this is Darwin" in said(capsys)


def test_a_container_whose_control_groups_limit_nothing_is_told_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(obstacles, "PLUGINS", str(tmp_path))
    (tmp_path / "ptp").touch()
    monkeypatch.setattr(obstacles, "CGROUPS", tmp_path)
    monkeypatch.setattr(obstacles, "_namespaces", list)
    (tmp_path / "cgroup.subtree_control").write_text("cpuset cpu memory pids\n")
    assert obstacles.main() == 0
    (tmp_path / "cgroup.subtree_control").write_text("cpu io\n")
    assert "are not given cpuset, memory, pids" in said(capsys)


def test_what_is_left_behind_or_taken_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = {"net.ipv4.ip_forward": "0"}
    rules = ["-A FORWARD -j ACCEPT"]

    def machine(*command: str) -> str:
        if command[0] == "sysctl":
            return setting.get(command[-1], "1")
        return "\n".join(rules) if command[0] == "iptables-save" else ""

    monkeypatch.setattr(unchanged, "_said", machine)

    def change() -> None:
        with unchanged.unchanged("run-1"):
            setting["net.ipv4.ip_forward"] = "1"
            rules.clear()

    with unchanged.unchanged("run-1"):
        pass
    with pytest.raises(unchanged.Changed) as changed:
        change()
    assert "kernel settings: now net.ipv4.ip_forward = 1" in str(changed.value)
    assert "packet filters: gone -A FORWARD -j ACCEPT" in str(changed.value)


def test_a_process_of_the_run_that_is_left_is_named_and_no_other() -> None:
    def left(by: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sleep", f"60.{by}"], env={**os.environ, unchanged.MARK: f"run-{by}"})

    with left("1") as ours, left("2") as another:
        try:
            until(lambda: unchanged.marked("run-2"), "the other process to run")
            found = until(lambda: unchanged.marked("run-1"), "ours")
        finally:
            ours.kill()
            another.kill()
    assert found == {"sleep 60.1 "}
