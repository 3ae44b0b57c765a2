"""The generated files as ConfigMaps: a kustomization in each folder that the cluster mounts.

kustomize's configMapGenerator reads nothing outside its own folder, but takes a folder elsewhere as a
resource; so the generated folder brings its kustomizations along, and k8s/base names them. A ConfigMap's name
ends in a hash of its content: a new dashboard or rule rolls the pods that mount it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

CONFIG_MAPS = {
    "": {"alertmanager": ("alertmanager.yml",)},
    "rules": {"prometheus-rules": ("rules/",)},
    "kibana": {"kibana-saved-objects": ("kibana/",)},
    "grafana": {
        "grafana-datasources": ("grafana/provisioning/datasources/",),
        "grafana-dashboard-providers": ("grafana/provisioning/dashboards/",),
        "grafana-dashboards": ("grafana/dashboards/",),
        "grafana-runbooks": ("grafana/runbooks/",),
    },
}
"""ConfigMaps by the folder of their kustomization: the beginnings of the files they hold."""


def kustomizations(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The kustomizations of the generated files `names`, by their path below dashboards/generated."""
    paths = sorted(names)
    return {
        f"{folder}/kustomization.yaml".lstrip("/"): {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "configMapGenerator": [
                {"name": name, "files": _below(folder, [path for path in paths if path.startswith(starts)])}
                for name, starts in config_maps.items()
            ],
        }
        for folder, config_maps in CONFIG_MAPS.items()
    }


def operator(rule_files: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The rules as the Prometheus operator's objects, by their path. `rule_files` are rule files by name."""
    objects = {
        f"operator/{name}.yaml": {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": f"dashcam-{name}"},
            "spec": spec,
        }
        for name, spec in rule_files.items()
    }
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{name}.yaml" for name in sorted(rule_files)],
    }
    return {**objects, "operator/kustomization.yaml": kustomization}


def _below(folder: str, paths: list[str]) -> list[str]:
    return [path.removeprefix(f"{folder}/") for path in paths]
