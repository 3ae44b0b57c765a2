"""The Secrets that the manifests name: which of them are made here, of what, and which someone must bring.

Nothing is ever overwritten: a Secret that is there stays as it is. To have a new value, delete the Secret,
deploy again, and restart what reads it. Values go to kubectl on its standard input, never as an argument.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dashcam.cluster.kubectl import AGENTS, NAMESPACE

ELASTICSEARCH_USERS = (
    "elastic",
    "kibana_system",
    "fluent-bit",
    "grafana",
    "jaeger",
    "elasticsearch-exporter",
)


def token() -> str:
    """Letters, digits, - and _ only: it stands in URLs, headers and JSON as it is."""
    return secrets.token_urlsafe(32)


def _database() -> dict[str, str]:
    password = token()
    return {
        "POSTGRES_PASSWORD": password,
        "DATABASE_URL": f"postgresql://car:{password}@postgres:5432/car",
    }


@dataclass(frozen=True, order=True)
class Name:
    """Where a Secret is."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


MADE: Mapping[Name, Callable[[], dict[str, str]]] = {
    Name(NAMESPACE, "car-database"): _database,
    Name(NAMESPACE, "car-write-token"): lambda: {"CAR_WRITE_TOKEN": token()},
    Name(NAMESPACE, "web-session"): lambda: {"SECRET_KEY": token()},
    Name(NAMESPACE, "nats"): lambda: {"NATS_PASSWORD": token(), "CLUSTER_PASSWORD": token()},
    Name(NAMESPACE, "grafana-admin"): lambda: {
        "admin-user": "admin",
        "admin-password": token(),
        "secret-key": token(),
    },
    Name(NAMESPACE, "elasticsearch-users"): lambda: {user: token() for user in ELASTICSEARCH_USERS},
    Name(NAMESPACE, "kibana"): lambda: {"encryption-key": token()},
}
"""Secrets that are made when they are missing, with what makes their keys."""


@dataclass(frozen=True)
class Copy:
    """A Secret of which the key `here` is another Secret's; `besides` are keys that are no secret."""

    source: Name
    key: str
    here: str
    besides: Mapping[str, str] = field(default_factory=dict)


COPIED: Mapping[Name, Copy] = {
    Name(AGENTS, "elasticsearch-fluent-bit"): Copy(
        Name(NAMESPACE, "elasticsearch-users"), "fluent-bit", "password"
    ),
    # ECK takes the password of `elastic` in this form, where it shall not make one of its own.
    Name(NAMESPACE, "elasticsearch-file-realm"): Copy(
        Name(NAMESPACE, "elasticsearch-users"),
        "elastic",
        "password",
        {"username": "elastic", "roles": "superuser"},
    ),
}
"""Secrets that are made of one key of another."""

NEEDS_POSTGRES = Name(NAMESPACE, "car-database")
"""Made only where the manifests bring PostgreSQL along: elsewhere nobody but its owner knows the address."""


def named(objects: Iterable[Mapping[str, Any]]) -> dict[Name, set[str]]:
    """Every Secret that pods of the manifests name, with the keys they want (none: all that are there)."""
    found: dict[Name, set[str]] = {}
    for each in objects:
        spec = each.get("spec") or {}
        pod = spec.get("jobTemplate", {}).get("spec", spec).get("template", {}).get("spec", {})
        for name, key in (*_of_pod(pod), *_of_eck(each)):
            wanted = found.setdefault(Name(each["metadata"]["namespace"], name), set())
            wanted |= {key} if key else set()
    return found


def _of_eck(each: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    if each["kind"] == "Elasticsearch":
        spec = each["spec"]
        for named_here in (*spec.get("auth", {}).get("fileRealm", []), *spec.get("secureSettings", [])):
            yield named_here["secretName"], ""


def _of_pod(pod: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for volume in pod.get("volumes", []):
        if secret := volume.get("secret"):
            yield from [(secret["secretName"], item["key"]) for item in secret.get("items", [{"key": ""}])]
    for container in [*pod.get("initContainers", []), *pod.get("containers", [])]:
        for variable in container.get("env", []):
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                yield reference["name"], reference["key"]


def made_by_operators(objects: Iterable[Mapping[str, Any]]) -> set[Name]:
    """Secrets that objects of the manifests make: certificates, External Secrets, CloudNativePG clusters."""
    found = set()
    for each in objects:
        namespace, name = each["metadata"].get("namespace", ""), each["metadata"]["name"]
        if each["kind"] == "Certificate":
            found.add(Name(namespace, each["spec"]["secretName"]))
        elif each["kind"] == "ExternalSecret":
            found.add(Name(namespace, name))
        elif each["kind"] == "Cluster":
            found.add(Name(namespace, f"{name}-app"))
    return found


@dataclass(frozen=True)
class Plan:
    """What to do about the Secrets: make these, copy those, and ask a person for the rest."""

    make: tuple[Name, ...]
    copy: tuple[Name, ...]
    missing: tuple[str, ...]


def plan(objects: list[Mapping[str, Any]], present: Mapping[Name, set[str]]) -> Plan:
    """What is still to be done, given the Secrets that are `present` with their keys."""
    brings_postgres = any(
        each["kind"] == "StatefulSet" and each["metadata"]["name"] == "postgres" for each in objects
    )
    makeable = {name for name in MADE if brings_postgres or name != NEEDS_POSTGRES}
    operated = made_by_operators(objects)
    make, copy, missing = [], [], []
    for name, keys in sorted(named(objects).items()):
        if name in operated:
            continue
        if name in present:
            if lacking := sorted(keys - present[name]):
                missing.append(f"{name} (it is there, but lacks {', '.join(lacking)})")
        elif name in makeable:
            make.append(name)
        elif name in COPIED:
            copy.append(name)
        else:
            missing.append(f"{name} ({', '.join(sorted(keys)) or 'see k8s/README.md for its keys'})")
    return Plan(tuple(make), tuple(copy), tuple(missing))


def secret(name: Name, data: Mapping[str, str]) -> dict[str, Any]:
    """The object."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name.name,
            "namespace": name.namespace,
            "labels": {"app.kubernetes.io/part-of": "dashcam", "app.kubernetes.io/managed-by": "dashcam"},
        },
        "stringData": dict(data),
    }
