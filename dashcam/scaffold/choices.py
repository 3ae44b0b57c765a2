"""Which names and ports a new service may have; a refusal names the value, its owner and the remedy."""

from __future__ import annotations

import dataclasses
import keyword
import re
from pathlib import Path

from dashcam.cluster.forwards import forwards
from dashcam.registry.catalogue import ADMIN_OFFSET, Catalogue
from dashcam.stack.settings import Settings

FIRST, STEP = 8010, 10
"""Where the search for a free port begins, and how it goes on."""
HIGHEST = 65535 - ADMIN_OFFSET
RESERVED = frozenset(
    {"receiver", "otlp", "further", "traffic", "backend", "services", "dashcam", "observability"}
)
"""Names of parts of the stack, of groups of them, and of packages."""
ADMIN_IN_CLUSTER = 9464


class Refused(ValueError):
    """It cannot be done; nothing was written."""


def check_name(name: str, catalogue: Catalogue, root: Path) -> None:
    """Raise Refused for a name that no service can have, or that something has already."""
    if not re.fullmatch(r"[a-z][a-z0-9]{1,29}", name):
        raise Refused(
            f"NAME={name!r} cannot be used: give 2 to 30 lower-case letters and digits, a letter first, "
            "such as NAME=invoices; it is a Python module, a host name and the beginning of variables"
        )
    if keyword.iskeyword(name):
        raise Refused(f"NAME={name!r} is a word of Python and cannot be a module: give another name")
    if owner := _owner_of_name(name, catalogue, root):
        raise Refused(f"NAME={name!r} is taken by {owner}: give another name")


def _owner_of_name(name: str, catalogue: Catalogue, root: Path) -> str | None:
    if name in catalogue.names:
        return "a service of services/catalogue.yaml"
    if name in {resource.name for resource in catalogue.resources}:
        return "a resource of services/catalogue.yaml"
    if name in RESERVED or f"{name}_port" in {field.name for field in dataclasses.fields(Settings)}:
        return "a part of the stack"
    for place in (f"services/{name}", f"tests/unit/{name}", f"k8s/base/{name}", f"k8s/components/{name}"):
        if (root / place).exists():
            return f"the folder {place}"
    if tests := sorted((root / "tests/contract").glob(f"test_{name}_*.py")):
        return f"tests/contract/{tests[0].name}"
    return None


def check_port(port: int, catalogue: Catalogue) -> None:
    """Raise Refused for a port that cannot be a service's, or that something has already."""
    if not 1024 <= port <= HIGHEST:
        raise Refused(
            f"PORT={port} cannot be used: give one from 1024 to {HIGHEST}, "
            f"for the admin port is {ADMIN_OFFSET} above it"
        )
    owners = taken(catalogue)
    for number in (port, port + ADMIN_OFFSET):
        if number in owners:
            raise Refused(
                f"PORT={port} is taken: {number} is the port of {owners[number]}; give another, "
                f"such as PORT={free_port(catalogue)}"
            )


def free_port(catalogue: Catalogue) -> int:
    """The first port of the row that is nobody's."""
    owners = taken(catalogue)
    return next(
        port
        for port in range(FIRST, HIGHEST, STEP)
        if port not in owners and port + ADMIN_OFFSET not in owners
    )


def taken(catalogue: Catalogue) -> dict[int, str]:
    """Every port that the stack and the cluster have by default, with its owner."""
    found = {ADMIN_IN_CLUSTER: "the admin side of each service in a cluster"}
    for forward in forwards():
        found[forward.local] = forward.service
    for field in dataclasses.fields(Settings):
        if field.name.endswith("_port") and isinstance(field.default, int):
            found[field.default] = field.name.removesuffix("_port").replace("_", " ")
    for service in catalogue.services:
        found |= {service.port: service.name, service.admin_port: f"{service.name}'s admin side"}
    return found
