"""What kustomize makes of the manifests, and of combinations of components that no overlay names."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
PARTS = sorted(path.parent.name for path in (K8S / "base").glob("*/kustomization.yaml"))

Object = dict[str, Any]

EVERYTHING_BUT_PROMETHEUS = tuple(
    f"base/{name}" for name in PARTS if name not in ("prometheus", "jaeger-elasticsearch")
)

COMBINATIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "local": (("overlays/local",), ()),
    "production": (("overlays/production",), ()),
    **{
        f"local+{'+'.join(extra)}": (("overlays/local",), extra)
        for extra in (
            ("ingress",),
            ("gateway",),
            ("elk-logstash",),
            ("splunk-hec",),
            ("log-agent-collector",),
            ("external-secrets",),
            ("collector-load-balancing",),
            ("argo-rollouts",),
            ("ingress", "elk-logstash", "external-secrets"),
        )
    },
    **{
        f"production+{'+'.join(extra)}": (("overlays/production",), extra)
        for extra in (
            ("gateway",),
            ("elk-logstash", "elk-logstash-tls"),
            ("splunk-hec",),
            ("log-agent-collector", "log-agent-collector-tls"),
            ("external-secrets",),
            ("cloudnative-pg",),
            ("cloudnative-pg", "external-secrets", "elk-logstash", "elk-logstash-tls"),
            ("cloudnative-pg", "splunk-hec"),
            ("prometheus-remote-write",),
            ("argo-rollouts",),
            ("eck",),
            ("eck", "elk-logstash", "elk-logstash-tls", "external-secrets", "eck-external-secrets"),
        )
    },
    "operator": (EVERYTHING_BUT_PROMETHEUS, ("operator", "postgres")),
    "operator+argo-rollouts": (EVERYTHING_BUT_PROMETHEUS, ("operator", "postgres", "argo-rollouts")),
    "operator+cloudnative-pg": (EVERYTHING_BUT_PROMETHEUS, ("operator", "cloudnative-pg")),
    "cloudnative-pg without an overlay": (("base",), ("cloudnative-pg",)),
    "kept by Argo CD": (("gitops/argo-cd",), ()),
    "kept by Flux": (("gitops/flux",), ()),
    "services alone": (("base/namespaces", "base/services"), ()),
}
"""What is rendered: resources and components, by a name for people."""


def kustomize() -> str:
    """The program. `make test-k8s` builds it; a test that is asked for and cannot run fails."""
    here = ROOT / ".tools" / "bin" / "kustomize"
    found = str(here) if here.exists() else shutil.which("kustomize")
    assert found, "kustomize is missing: `make tools-k8s` builds it (it needs Go)"
    return found


def build(folder: Path) -> list[Object]:
    """The objects of a kustomization. Fails with kustomize's own words, warnings included."""
    run = subprocess.run([kustomize(), "build", str(folder)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert not run.stderr, run.stderr
    return [document for document in yaml.load_all(run.stdout, yaml.CSafeLoader) if document]


def combine(resources: Sequence[str], components: Sequence[str]) -> list[Object]:
    """The objects of an overlay that names these folders of k8s/."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(os.path.relpath(K8S, Path(folder).resolve()))
        page = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [str(here / name) for name in resources],
            "components": [str(here / "components" / name) for name in components],
        }
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(page))
        return build(Path(folder))


@functools.cache
def rendered(name: str) -> tuple[Object, ...]:
    """One of COMBINATIONS; not to be changed, because all tests share it."""
    return tuple(combine(*COMBINATIONS[name]))
