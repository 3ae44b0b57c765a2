"""Everything that is rendered is valid, strictly, for three versions of Kubernetes, or by its CRD."""

from __future__ import annotations

import copy
import functools
from typing import Any

import jsonschema
import pytest
from crds import is_custom, schema
from kubernetes_validate import utils
from manifests import shown
from referencing import Registry, Resource
from rendering import COMBINATIONS, K8S, PARTS, build, rendered

VERSIONS = ("1.32", "1.35", "1.37")
"""The oldest that is promised, one between, and the newest that there is a schema for."""

_validated: set[tuple[str, str]] = set()


@functools.cache
def _definitions(version: str) -> tuple[str, Registry[Any]]:
    """The folder of a version's strict schemas, and what they refer to: read once, because it is large."""
    (whole,) = {each for each in utils.all_versions() if utils.major_minor(each) == version}
    folder = f"kubernetes-json-schema/v{whole}-local-strict"
    common = Resource.from_contents(utils.schema_contents(f"{folder}/_definitions.json", version))
    return folder, common @ Registry()


@functools.cache
def validator(version: str, api_version: str, kind: str) -> jsonschema.Draft202012Validator:
    """Of a kind: Kubernetes' own schema for a version, or that of its CRD."""
    if is_custom(api_version):
        return jsonschema.Draft202012Validator(schema(api_version, kind))
    folder, registry = _definitions(version)
    group, _, served = api_version.rpartition("/")
    name = "-".join(filter(None, (kind.lower(), group.partition(".")[0], served)))
    own = utils.schema_contents(f"{folder}/{name}.json", version)
    return jsonschema.Draft202012Validator(own, registry=Resource.from_contents(own) @ registry)


def complaints(each: dict[str, Any], version: str) -> list[str]:
    """What is wrong with an object."""
    errors = validator(version, each["apiVersion"], each["kind"]).iter_errors(each)
    return [f"{shown(each)}: {error.json_path}: {error.message}" for error in errors]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", COMBINATIONS)
def test_every_object_is_valid(name: str, version: str) -> None:
    found = []
    for each in rendered(name):
        known = (version, repr(each))  # the combinations have most objects in common
        if known not in _validated:
            found += complaints(each, version)
            _validated.add(known)
    assert found == []


@pytest.mark.parametrize("part", PARTS)
def test_each_part_can_be_taken_alone(part: str) -> None:
    assert build(K8S / "base" / part)


def test_every_component_is_in_some_combination() -> None:
    used = {name for _, components in COMBINATIONS.values() for name in components}
    used |= {"hardened", "postgres", "elasticsearch-cluster", "elasticsearch-snapshots", "thanos"}
    used |= {"jaeger-dependencies", "faults", "nats-cluster"}
    assert {path.parent.name for path in (K8S / "components").glob("*/kustomization.yaml")} == used


@pytest.mark.parametrize(
    ("name", "kind"), [("local", "Deployment"), ("production", "Certificate"), ("operator", "PodMonitor")]
)
def test_a_field_that_does_not_exist_is_seen(name: str, kind: str) -> None:
    each = copy.deepcopy(next(each for each in rendered(name) if each["kind"] == kind))
    each["spec"]["replica"] = 3
    assert complaints(each, VERSIONS[-1])
