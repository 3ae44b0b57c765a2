"""The schemas of the custom resources that the manifests use, from the Go modules that define them."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import yaml

CRDS = Path(__file__).parents[2] / ".tools" / "crds"

BUILT_IN = (
    "v1",
    "apps/",
    "batch/",
    "policy/",
    "autoscaling/",
    "rbac.authorization.k8s.io/",
    "networking.k8s.io/",
    "apiextensions.k8s.io/",
)


def is_custom(api_version: str) -> bool:
    """Whether an operator defines it, and not Kubernetes."""
    return not api_version.startswith(BUILT_IN)


class Loader(yaml.CSafeLoader):
    """One definition has `=` among its values, which YAML 1.1 gives a meaning that nobody wants."""


Loader.add_constructor("tag:yaml.org,2002:value", Loader.construct_yaml_str)


@functools.cache
def schema(api_version: str, kind: str) -> dict[str, Any]:
    """The OpenAPI schema of a kind, closed: an unknown field is an error."""
    group, _, version = api_version.partition("/")
    for served in definition(group, kind)["spec"]["versions"]:
        if served["name"] == version:
            found: dict[str, Any] = copy.deepcopy(served["schema"]["openAPIV3Schema"])
            found["properties"]["metadata"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
            closed: dict[str, Any] = _closed(found)
            return closed
    raise AssertionError(f"the definition of {kind} has no version {version}")


@functools.cache
def definition(group: str, kind: str) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind."""
    for path in (*sorted(CRDS.glob(f"{group}_*.yaml")), *sorted(CRDS.glob("*-crd.yaml"))):
        for crd in yaml.load_all(path.read_text(), Loader):
            if crd and (crd["spec"]["group"], crd["spec"]["names"]["kind"]) == (group, kind):
                found: dict[str, Any] = crd
                return found  # not to be changed, because all tests share it
    raise AssertionError(f"{CRDS} has no {kind} of {group}: `make tools-k8s` fetches it (it needs Go)")


def _closed(schema: Any) -> Any:
    """As the API server reads it with strict field validation: no properties but the declared ones."""
    if not isinstance(schema, dict):
        return schema
    if "properties" in schema:
        schema["properties"] = {name: _closed(inner) for name, inner in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
    for key in ("items", "additionalProperties"):
        if key in schema:
            schema[key] = _closed(schema[key])
    if schema.get("x-kubernetes-int-or-string"):
        schema.pop("type", None)
    return schema
