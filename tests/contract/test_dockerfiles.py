"""The Dockerfiles of the services are one text with three names, and take in what a service may hold."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from observability.settings import from_environ
from services.car import VERSION as CAR_VERSION
from services.car.settings import Settings as Car
from services.minus import VERSION as MINUS_VERSION
from services.minus.settings import Settings as Minus
from services.web import VERSION as WEB_VERSION
from services.web.settings import Settings as Web

ROOT = Path(__file__).parents[2]
SETTINGS = {"car": Car, "minus": Minus, "web": Web}
VERSIONS = {"car": CAR_VERSION, "minus": MINUS_VERSION, "web": WEB_VERSION}


def dockerfile(service: str) -> str:
    return (ROOT / "services" / service / "Dockerfile").read_text()


@pytest.mark.parametrize("service", SETTINGS)
def test_a_dockerfile_differs_from_the_others_in_name_and_port_only(service: str) -> None:
    def neutral(name: str) -> str:
        port = str(from_environ(SETTINGS[name], {}).port)
        return re.sub(rf"\b{name}\b", "SERVICE", dockerfile(name)).replace(port, "PORT")

    assert neutral(service) == neutral("minus")


@pytest.mark.parametrize("service", SETTINGS)
def test_the_labelled_version_is_the_services(service: str) -> None:
    assert f"ARG VERSION={VERSIONS[service]}\n" in dockerfile(service)


def test_hadolint_has_nothing_to_say() -> None:
    linter = Path(sys.executable).with_name("hadolint")  # not on PATH where nobody activated the environment
    said = subprocess.run(
        [linter, *(f"services/{service}/Dockerfile" for service in SETTINGS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_only_the_library_and_the_services_are_sent_to_a_build() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    sent = [rule for rule in rules if rule.startswith("!")]
    assert rules.index("*") < rules.index(sent[0])
    assert sent == ["!requirements-build.txt", "!observability", "!services"]
