"""What is made from the catalogue, as `{path below the checkout: text}`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dashcam.registry import backstage
from dashcam.registry.catalogue import ROOT, Catalogue, Service
from dashcam.slo.yaml_text import dump

HEADER = "Generated from services/catalogue.yaml by `make services-generated`. Do not edit."
NAME = "app.kubernetes.io/name"
K8S = "k8s/base/services/generated"


def files(catalogue: Catalogue) -> dict[str, str]:
    """Everything that is made from the catalogue."""
    return {
        "services/requirements.in": _requirements(catalogue),
        f"{K8S}/kustomization.yaml": dump(_kustomization(catalogue), HEADER),
        f"{K8S}/network.yaml": _documents([_policy(catalogue, each) for each in catalogue.services]),
        "catalog-info.yaml": _documents(backstage.entities(catalogue)),
    }


def differences(catalogue: Catalogue, root: Path = ROOT) -> list[str]:
    """The files that are not what the catalogue gives; empty when all is well."""
    return [name for name, text in files(catalogue).items() if _read(root / name) != text]


def write(catalogue: Catalogue, root: Path = ROOT) -> list[str]:
    """Write the files that differ, and return their names."""
    stale = differences(catalogue, root)
    for name in stale:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files(catalogue)[name], encoding="utf-8")
    return stale


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _documents(pages: list[dict[str, Any]]) -> str:
    return "---\n".join(dump(page, HEADER if number == 0 else "") for number, page in enumerate(pages))


def _requirements(catalogue: Catalogue) -> str:
    lines = [f"# {HEADER}", *(f"-r {name}/requirements.in" for name in catalogue.names)]
    return "\n".join(lines) + "\n"


def _kustomization(catalogue: Catalogue) -> dict[str, Any]:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [*(f"../{name}" for name in catalogue.names), "network.yaml"],
    }


def _policy(catalogue: Catalogue, service: Service) -> dict[str, Any]:
    """Who may call a service, and whom it may call; components add to it by its name."""
    spec: dict[str, Any] = {
        "podSelector": {"matchLabels": {NAME: service.name}},
        "policyTypes": ["Ingress", "Egress"],
    }
    if callers := [name for name in catalogue.callers(service.name) if name in catalogue.names]:
        spec["ingress"] = [{"from": [_pods(name) for name in callers], "ports": [_tcp(service.port)]}]
    called = [(each.name, each.port) for each in catalogue.called_by(service.name)]
    called += [
        (each.pods, each.port)
        for each in catalogue.resources
        if each.name in service.depends_on and each.pods and each.port
    ]
    if called:
        spec["egress"] = [{"to": [_pods(name)], "ports": [_tcp(port)]} for name, port in called]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": service.name},
        "spec": spec,
    }


def _pods(name: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": {NAME: name}}}


def _tcp(port: int) -> dict[str, Any]:
    return {"protocol": "TCP", "port": port}
