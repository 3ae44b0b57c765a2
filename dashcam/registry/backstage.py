"""The catalogue as entities of Backstage's software catalog, for `catalog-info.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashcam.registry.catalogue import Catalogue, Service

VERSION = "backstage.io/v1alpha1"
Entity = dict[str, Any]


def entities(catalogue: Catalogue) -> list[Entity]:
    """The system, its owners, its resources, and for each service a component and its API."""
    return [
        _system(catalogue),
        *(_group(name, about) for name, about in catalogue.owners),
        *_resources(catalogue),
        *(each for service in catalogue.services for each in _component_and_api(catalogue, service)),
    ]


def _entity(kind: str, name: str, description: str, spec: Mapping[str, Any]) -> Entity:
    metadata = {"name": name, "description": description}
    return {"apiVersion": VERSION, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def _system(catalogue: Catalogue) -> Entity:
    owner = f"group:{catalogue.services[0].owner}"
    return _entity("System", catalogue.system, catalogue.description, {"owner": owner})


def _group(name: str, description: str) -> Entity:
    return _entity("Group", name, description, {"type": "team", "children": []})


def _resources(catalogue: Catalogue) -> list[Entity]:
    return [
        _entity(
            "Resource",
            each.name,
            each.description,
            {"type": each.type, "owner": f"group:{each.owner}", "system": catalogue.system},
        )
        for each in catalogue.resources
    ]


def _component_and_api(catalogue: Catalogue, service: Service) -> list[Entity]:
    common = {"lifecycle": "production", "owner": f"group:{service.owner}", "system": catalogue.system}
    component = _entity(
        "Component",
        service.name,
        service.description,
        {"type": "service", **common, "providesApis": [service.name], **_needs(catalogue, service)},
    )
    component["metadata"]["annotations"] = {
        "backstage.io/kubernetes-label-selector": f"app.kubernetes.io/name={service.name}",
    }
    text = {"$text": f"./services/{service.name}/openapi.yaml"}
    api = _entity("API", service.name, service.description, {"type": "openapi", **common, "definition": text})
    return [component, api]


def _needs(catalogue: Catalogue, service: Service) -> dict[str, list[str]]:
    called = [each.name for each in catalogue.called_by(service.name)]
    found = {
        "dependsOn": [
            f"{'component' if name in catalogue.names else 'resource'}:{name}" for name in service.depends_on
        ],
        "consumesApis": called,
    }
    return {key: names for key, names in found.items() if names}
