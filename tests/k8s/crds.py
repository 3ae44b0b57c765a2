"""The schemas of the custom resources that the manifests use, from the Go modules that define them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml

CRDS = Path(__file__).parents[2] / ".tools" / "crds"


class Loader(yaml.CSafeLoader):
    """One definition has `=` among its values, which YAML 1.1 gives a meaning that nobody wants."""


Loader.add_constructor("tag:yaml.org,2002:value", Loader.construct_yaml_str)


@functools.cache
def schema(api_version: str, kind: str) -> dict[str, Any]:
    """The OpenAPI schema of a kind, closed: an unknown field is an error."""
    group, _, version = api_version.partition("/")
    path = CRDS / f"{group}_{kind.lower()}s.yaml"
    assert path.exists(), f"{path} is missing: `make tools-k8s` fetches it (it needs Go)"
    for crd in yaml.load_all(path.read_text(), Loader):
        for served in crd["spec"]["versions"] if crd else ():
            if served["name"] == version:
                found: dict[str, Any] = served["schema"]["openAPIV3Schema"]
                found["properties"]["metadata"] = {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                }
                closed: dict[str, Any] = _closed(found)
                return closed
    raise AssertionError(f"{path} does not define {api_version}")


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
