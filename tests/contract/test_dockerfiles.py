"""The one Dockerfile of the services: what it says, and what is sent to a build."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from observability.version import VERSION

ROOT = Path(__file__).parents[2]
SERVICES = sorted(path.parent.name for path in ROOT.glob("services/*/__main__.py"))


def test_a_service_has_no_dockerfile_of_its_own() -> None:
    assert [path.name for path in ROOT.glob("services/**/Dockerfile*")] == ["Dockerfile"]


def test_no_service_is_named_in_it() -> None:
    assert SERVICES
    text = (ROOT / "services/Dockerfile").read_text()
    assert not [service for service in SERVICES if f"/{service}" in text or f".{service}" in text]


@pytest.mark.parametrize("service", SERVICES)
def test_a_build_is_told_the_service_and_the_release(service: str) -> None:
    plan = subprocess.run(
        ["make", "--dry-run", f"image-{service}", "ENGINE=podman"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    assert f"--build-arg SERVICE={service} --build-arg VERSION={VERSION} " in plan
    assert f"-f services/Dockerfile -t dashcam/{service}:{VERSION} ." in plan


def test_hadolint_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("hadolint")  # not on PATH where nobody activated the environment
    said = subprocess.run([linter, "services/Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_only_the_library_and_the_services_are_sent_to_a_build() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    sent = [rule for rule in rules if rule.startswith("!")]
    assert rules.index("*") < rules.index(sent[0])
    assert sent == ["!requirements-build.txt", "!observability", "!services"]
