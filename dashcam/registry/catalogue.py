"""services/catalogue.yaml as data, checked: a mistake is answered with file, line, value and remedy.

Whoever wants to know which services there are asks :func:`load`. Without the file, as where the tools are
installed from their wheel, there are none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dashcam.json_schema import Complaint, complaints
from dashcam.registry.yaml_lines import Lines

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "services" / "catalogue.yaml"
SCHEMA = PATH.with_name("catalogue.schema.json")
ADMIN_OFFSET = 10000
"""A service's admin port, unless given, is its port plus this."""


class CatalogueError(ValueError):
    """The catalogue cannot be used; the message says where, which value and what to give."""


@dataclass(frozen=True)
class Dashboard:
    """A page of Grafana; `path` is below its address."""

    title: str
    path: str


@dataclass(frozen=True)
class Resource:
    """What services depend on and that is none of them; `pods` at `port` serve it in a cluster, if known."""

    name: str
    description: str
    owner: str
    type: str
    pods: str = ""
    port: int | None = None


@dataclass(frozen=True)
class Service:
    """One service. `example` is a path that answers 200 by itself, `home` the one that a person is shown."""

    name: str
    port: int
    admin_port: int
    description: str
    owner: str
    example: str
    home: str
    depends_on: tuple[str, ...] = ()
    dashboards: tuple[Dashboard, ...] = ()
    runbooks: tuple[str, ...] = ()
    objectives: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)


@dataclass(frozen=True)
class Catalogue:
    """All that the page says; services, resources and owners are in its order."""

    system: str = ""
    description: str = ""
    services: tuple[Service, ...] = ()
    resources: tuple[Resource, ...] = ()
    owners: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The services' names."""
        return tuple(service.name for service in self.services)

    def service(self, name: str) -> Service:
        """The service of that name. Raises CatalogueError, with the names there are."""
        if name not in self.names:
            raise CatalogueError(f"there is no service {name!r}; there are {', '.join(self.names)}")
        return self.services[self.names.index(name)]

    def called_by(self, name: str) -> tuple[Service, ...]:
        """The services that a service calls."""
        return tuple(self.service(each) for each in self.service(name).depends_on if each in self.names)

    def callers(self, name: str) -> tuple[str, ...]:
        """The services that depend on a service or a resource."""
        return tuple(service.name for service in self.services if name in service.depends_on)


def load(path: Path = PATH) -> Catalogue:
    """The catalogue, an empty one where there is no such file. Raises CatalogueError."""
    return parse(path.read_text(encoding="utf-8"), str(path)) if path.exists() else Catalogue()


@cache
def parse(text: str, name: str) -> Catalogue:
    """The catalogue that a text is; messages call it `name`. Raises CatalogueError."""
    try:
        lines, page = Lines(text), yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CatalogueError(f"{name}: not YAML: {' '.join(str(error).split())}") from None
    for line, key in lines.repeated():
        raise CatalogueError(f"{name}:{line}: {key!r} stands here twice: take one away")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    for complaint in [*complaints(page, schema, schema["definitions"])] or [*_contradictions(page)]:
        raise CatalogueError(_told(complaint, page, f"{name}:{lines.of(complaint.path)}"))
    return _catalogue(page)


def _told(complaint: Complaint, page: Any, place: str) -> str:
    value = page
    for part in complaint.path:
        value = value[part]
    where = ".".join(map(str, complaint.path))
    shown = f" = {value!r}" if not isinstance(value, dict | list) else ""
    return f"{place}: {where or 'the page'}{shown}: {complaint.remedy}"


def _contradictions(page: Mapping[str, Any]) -> Iterator[Complaint]:
    """What each entry by itself does not show: names that are nowhere, ports of two, circles."""
    services, resources = page["services"], page.get("resources", {})
    for kind, entries in (("services", services), ("resources", resources)):
        for name, entry in entries.items():
            if entry["owner"] not in page["owners"]:
                remedy = f"not among the owners: add it there, or use {', '.join(page['owners'])}"
                yield Complaint((kind, name, "owner"), remedy)
    for name in resources.keys() & services.keys():
        yield Complaint(("resources", name), "a service has this name too: rename one")
    yield from _unknown_needs(services, resources)
    yield from _shared_ports(services)


def _unknown_needs(services: Mapping[str, Any], resources: Mapping[str, Any]) -> Iterator[Complaint]:
    for name, entry in services.items():
        for number, needed in enumerate(entry.get("depends_on", ())):
            path = ("services", name, "depends_on", number)
            if needed not in services and needed not in resources:
                there = ", ".join([*services, *resources])
                yield Complaint(path, f"neither a service nor a resource: use one of {there}, or add it")
            elif name in _reached(needed, services):
                yield Complaint(path, f"{needed} needs {name} in turn: a dependency has one direction")


def _reached(name: str, services: Mapping[str, Any]) -> set[str]:
    """`name` and all that it depends on, directly or not."""
    found, left = set(), [name]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += services.get(one, {}).get("depends_on", ())
    return found


def _shared_ports(services: Mapping[str, Any]) -> Iterator[Complaint]:
    users: dict[int, str] = {}
    for name, entry in services.items():
        for key, port in (("port", entry["port"]), ("admin_port", _admin_port(entry))):
            if port in users:
                remedy = f"{key} {port} is {users[port]}'s already: give another port"
                yield Complaint(("services", name, key if key in entry else "port"), remedy)
            users.setdefault(port, name)


def _admin_port(entry: Mapping[str, Any]) -> int:
    return int(entry.get("admin_port", entry["port"] + ADMIN_OFFSET))


def _catalogue(page: Mapping[str, Any]) -> Catalogue:
    common = page.get("every_service", {})
    return Catalogue(
        page["system"]["name"],
        page["system"]["description"],
        tuple(_service(name, entry, common) for name, entry in page["services"].items()),
        tuple(Resource(name, **entry) for name, entry in page.get("resources", {}).items()),
        tuple((name, entry["description"]) for name, entry in page["owners"].items()),
    )


def _service(name: str, entry: Mapping[str, Any], common: Mapping[str, Any]) -> Service:
    dashboards = [*common.get("dashboards", ()), *entry.get("dashboards", ())]
    return Service(
        name,
        entry["port"],
        _admin_port(entry),
        entry["description"],
        entry["owner"],
        entry["example"],
        entry.get("home", entry["example"]),
        tuple(entry.get("depends_on", ())),
        tuple(Dashboard(each["title"], each["path"].replace("{service}", name)) for each in dashboards),
        tuple(dict.fromkeys([*common.get("runbooks", ()), *entry.get("runbooks", ())])),
        tuple(entry.get("objectives", ())),
    )
