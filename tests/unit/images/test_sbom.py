"""The bill of materials of an image, from what an image said of itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.sbom import InventoryError, bill, inventory

SAID = {
    "python": "3.11.2",
    "system": {"ID": "debian", "VERSION_ID": "12"},
    "distributions": [["Flask", "3.1.3"], ["granian", "2.8.7"]],
    "dpkg": (
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9+deb12u13\n"
        "Description: GNU C Library\n Of: all things\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n"
    ),
}


def components(said: dict[str, Any]) -> dict[str, Any]:
    page = json.loads(bill("dashcam/car:0.1.0", json.dumps(said)))
    return {each.get("purl", each["name"]): each for each in page["components"]}


def test_packages_of_python_and_of_the_system_are_named_with_their_versions() -> None:
    assert set(components(SAID)) == {
        "debian",
        "pkg:generic/python@3.11.2",
        "pkg:pypi/flask@3.1.3",
        "pkg:pypi/granian@2.8.7",
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64",
    }


def test_a_base_without_dpkg_adds_no_packages_of_the_system() -> None:
    assert not [name for name in components({**SAID, "dpkg": ""}) if name.startswith("pkg:deb")]


def test_the_image_itself_is_what_the_page_is_about() -> None:
    page = json.loads(bill("registry.example/dashcam/car:0.1.0", json.dumps(SAID)))
    about = page["metadata"]["component"]
    assert (about["type"], about["name"], about["version"]) == ("container", "car", "0.1.0")
    assert (page["bomFormat"], page["specVersion"]) == ("CycloneDX", "1.6")


def test_an_engine_that_fails_is_quoted() -> None:
    with pytest.raises(InventoryError, match=r"dashcam/car:0\.1\.0 failed: .*no such image"):
        inventory(["sh", "-c", "echo no such image >&2; exit 125"], "dashcam/car:0.1.0")
