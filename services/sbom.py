"""`make sbom`: what is in an image, asked of the image itself, as a CycloneDX 1.6 page (ECMA-424).

    python services/sbom.py podman dashcam/car:0.2.0 > car.cdx.json

The packages of Python come from the environment that the service runs in, those of Debian from the base's own
list. A base without dpkg adds none, and its maker's page has to be added.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

INTERPRETER = "/opt/venv/bin/python"

INVENTORY = """
import importlib.metadata as metadata, json, pathlib, platform
release = pathlib.Path("/etc/os-release").read_text().splitlines()
status = pathlib.Path("/var/lib/dpkg/status")
print(json.dumps({
    "python": platform.python_version(),
    "system": dict(line.replace('"', "").split("=", 1) for line in release if "=" in line),
    "distributions": [[each.metadata["Name"], each.version] for each in metadata.distributions()],
    "dpkg": status.read_text() if status.exists() else "",
}))
"""
"""Runs in the image, with nothing but its own Python."""


class InventoryError(RuntimeError):
    """The image could not be asked; the message ends with the engine's own words."""


def inventory(engine: list[str], image: str) -> str:
    """What :data:`INVENTORY` prints in the image. Raises InventoryError."""
    command = [*engine, "--rm", "--network", "none", "--entrypoint", INTERPRETER, image, "-c", INVENTORY]
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 - the engine the caller names
    if done.returncode:
        raise InventoryError(f"{shlex.join(engine)} … {image} failed: {done.stderr.strip()}")
    return done.stdout


def bill(image: str, page: str) -> str:
    """The CycloneDX page of an image by what it said of itself. The same image gives the same components."""
    found = json.loads(page)
    name, _, version = image.rpartition("/")[2].partition(":")
    components = list(_components(found))
    bom = Bom(components=components)
    whole = Component(name=name, version=version or None, type=ComponentType.CONTAINER)
    bom.metadata.component = whole
    bom.register_dependency(whole, components)
    return JsonV1Dot6(bom).output_as_string(indent=2)


def _components(found: Mapping[str, Any]) -> Iterator[Component]:
    python, system = found["python"], found["system"]
    distribution = system.get("ID", "linux")
    yield Component(name=distribution, version=system.get("VERSION_ID"), type=ComponentType.OPERATING_SYSTEM)
    yield _component(ComponentType.PLATFORM, PackageURL("generic", None, "python", python))
    for name, version in found["distributions"]:
        yield _component(ComponentType.LIBRARY, PackageURL("pypi", None, name, version))
    for name, version, architecture in _debian(found["dpkg"]):
        where = PackageURL("deb", distribution, name, version, {"arch": architecture})
        yield _component(ComponentType.LIBRARY, where)


def _component(kind: ComponentType, where: PackageURL) -> Component:
    return Component(name=where.name, version=where.version, type=kind, purl=where, bom_ref=str(where))


def _debian(status: str) -> Iterator[tuple[str, str, str]]:
    """Name, version and architecture of the installed packages of a dpkg status file."""
    for paragraph in status.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " "
        )
        if fields.get("Status", "").endswith(" installed"):
            yield fields["Package"], fields["Version"], fields["Architecture"]


if __name__ == "__main__":
    try:
        # The engine may bring flags of its own: "podman run --ulimit …".
        print(bill(sys.argv[2], inventory(shlex.split(sys.argv[1]), sys.argv[2])))
    except InventoryError as error:
        sys.exit(str(error))
