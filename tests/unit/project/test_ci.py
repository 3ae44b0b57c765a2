"""Workflows run the parts of `.ci/run` and nothing that it does not run; a part that has grown is said."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.project.scripts import ROOT, loaded

CHECKING = [ROOT / ".github/workflows/ci.yml", ROOT / ".github/workflows/nightly.yml"]
PREPARATION = re.compile(
    r"git config --global --add safe\.directory .*|apt-get update( && apt-get install .*)?"
)


def parts() -> set[str]:
    listed = subprocess.run([ROOT / ".ci/run", "--list"], check=True, capture_output=True, text=True).stdout
    return set(listed.split())


def jobs(workflow: Path) -> list[Any]:
    return list(yaml.safe_load(workflow.read_text())["jobs"].values())


def commands(job: Any) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def named(job: Any) -> set[str]:
    matrix = job.get("strategy", {}).get("matrix", {}).get("part", [])
    words = {
        word for command in commands(job) if command.startswith(".ci/run ") for word in command.split()[1:]
    }
    return (words - {'"$PART"'}) | set(matrix)


@pytest.mark.parametrize("workflow", CHECKING, ids=lambda path: path.name)
def test_a_workflow_runs_parts_and_what_prepares_the_machine(workflow: Path) -> None:
    for job in jobs(workflow):
        for command in commands(job):
            assert re.fullmatch(r'\.ci/run ("\$PART"|[a-z0-9 -]+)', command) or PREPARATION.fullmatch(command)
        assert named(job) <= parts()


def test_every_part_runs_in_some_workflow_of_github_and_in_gitlab() -> None:
    assert {name for workflow in CHECKING for job in jobs(workflow) for name in named(job)} == parts()
    gitlab = (ROOT / ".gitlab-ci.yml").read_text()
    assert not [part for part in parts() if not re.search(rf"[ \[,]{part}[ \],\n]", gitlab)]


def test_whether_an_image_fits_is_asked_of_the_version_that_it_was_signed_as(tmp_path: Path) -> None:
    """The steps of `promote` in a repository that has gone on since the tag, with stand-ins for programs."""
    checkout, programs = tmp_path / "checkout", tmp_path / "bin"
    programs.mkdir()
    for name, body in {
        "cosign": 'printf "cosign %s\\n" "$*"',
        "make": 'printf "make in %s: %s\\n" "$(cat "$2/version")" "$*"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    git = ["git", "-C", str(checkout), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "init", "-q", str(checkout)], check=True)
    for version in ("1.0", "2.0"):
        (checkout / "version").write_text(version)
        for words in (["add", "."], ["commit", "-qm", version], ["tag", f"v{version}"]):
            subprocess.run([*git, *words], check=True)
    (job,) = jobs(ROOT / ".github/workflows/promote.yml")
    script = "\n".join(run for run in commands(job) if "cosign verify" in run or "can-release" in run)
    given = {"SERVICE": "car", "DIGEST": "sha256:1", "VERSION": "1.0", "RUNNING": "{}", "IMAGES": "ghcr.io/A"}
    told = {"GITHUB_REPOSITORY": "a/b", "RUNNER_TEMP": str(tmp_path)}
    environ = {**given, **told, "PATH": f"{programs}:/usr/bin:/bin"}
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=checkout, env=environ, capture_output=True, text=True, check=True)
    signed, asked = [line for line in done.stdout.splitlines() if line.startswith(("cosign ", "make "))]
    assert "ghcr.io/a/car@sha256:1 " in signed
    assert signed.endswith(" https://github.com/a/b/.github/workflows/release.yml@refs/tags/v1.0")
    assert asked.startswith("make in 1.0: ")
    assert "can-release SERVICE=car" in asked


def test_a_part_that_does_not_exist_is_refused() -> None:
    done = subprocess.run([ROOT / ".ci/run", "nothing"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no part nothing" in done.stderr


def test_a_part_that_has_grown_by_a_quarter_is_marked() -> None:
    lines = loaded("times").table(
        {"test": 130, "docs": 12, "k8s": 101, "new": 5}, {"test": 100, "docs": 5, "k8s": 100}
    )
    assert [line.split()[0] for line in lines if "grown by a quarter" in line] == ["test"]
