"""Everything that is rendered is valid, strictly, for three versions of Kubernetes, or by its CRD."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from crds import is_custom, schema
from manifests import shown
from rendering import COMBINATIONS, K8S, PARTS, build, rendered

VERSIONS = ("1.32", "1.35", "1.37")
"""The oldest that is promised, one between, and the newest that there is a schema for."""

_validated: set[tuple[str, str]] = set()


def complaints(each: dict[str, Any], version: str) -> list[str]:
    """What is wrong with an object, by Kubernetes' own schema or by its CRD's."""
    if not is_custom(each["apiVersion"]):
        try:
            kubernetes_validate.validate(each, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            return [f"{shown(each)}: {error}"]
        return []
    definition = schema(each["apiVersion"], each["kind"])
    errors = jsonschema.Draft202012Validator(definition).iter_errors(each)
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
    used |= {"jaeger-dependencies"}
    assert {path.parent.name for path in (K8S / "components").glob("*/kustomization.yaml")} == used


@pytest.mark.parametrize(
    ("name", "kind"), [("local", "Deployment"), ("production", "Certificate"), ("operator", "PodMonitor")]
)
def test_a_field_that_does_not_exist_is_seen(name: str, kind: str) -> None:
    each = copy.deepcopy(next(each for each in rendered(name) if each["kind"] == kind))
    each["spec"]["replica"] = 3
    assert complaints(each, VERSIONS[-1])
