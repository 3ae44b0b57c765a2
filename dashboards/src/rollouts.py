"""Progressive roll-outs of the services on Kubernetes: Argo Rollouts' objects, gated by the objectives.

The share of a new version rises in steps while its own pods keep the objectives: an AnalysisTemplate for each
service asks the recorded counts of `slo.yml` (`slo:events:total`, `slo:failures:total`), which have the pod
that counted. A version that burns the budget as fast as the alert that pages allows is aborted, and the pods
of the old one stay.
"""

from __future__ import annotations

from typing import Any

from dashcam.slo.objectives import Objectives, Slo

WINDOW = "2m"
"""How far an analysis looks back: a few scrapes of the cluster's Prometheus."""
STEPS = (10, 25, 50)
"""Percent of the pods that are of the new version, one after the other; then all."""
PAUSE = "2m"
"""How long each share is looked at."""
API = "argoproj.io/v1alpha1"


def objects(objectives: Objectives) -> dict[str, dict[str, Any]]:
    """The objects by their path below dashboards/generated, with their kustomization."""
    services = sorted({slo.service for slo in objectives.slos})
    found: dict[str, dict[str, Any]] = {}
    for service in services:
        found[f"rollouts/{service}-analysis.yaml"] = _analysis(service, objectives)
        found[f"rollouts/{service}-rollout.yaml"] = _rollout(service)
    listed = sorted(path.removeprefix("rollouts/") for path in found)
    page = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": listed}
    return {**found, "rollouts/kustomization.yaml": page}


def _labels(service: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": service, "app.kubernetes.io/component": "rollout"}


def _analysis(service: str, objectives: Objectives) -> dict[str, Any]:
    return {
        "apiVersion": API,
        "kind": "AnalysisTemplate",
        "metadata": {"name": service, "labels": _labels(service)},
        "spec": {
            "args": [{"name": "hash"}],
            "metrics": [_metric(slo, objectives) for slo in objectives.slos if slo.service == service],
        },
    }


def _metric(slo: Slo, objectives: Objectives) -> dict[str, Any]:
    pods = f'slo="{slo.name}",pod=~"{slo.service}-{{{{args.hash}}}}-.+"'
    failures, events = (
        f"sum(increase(slo:{what}:total{{{pods}}}[{WINDOW}]))" for what in ("failures", "events")
    )
    # Too few failures say nothing, as in the alerts: a single one of ten requests would burn any budget.
    query = f"({failures} / ({events} > 0)) * ({failures} >= bool {objectives.min_failures}) or vector(0)"
    return {
        "name": slo.name,
        "interval": "30s",
        "initialDelay": "30s",
        "failureLimit": 1,
        "successCondition": f"result[0] <= {limit(slo, objectives):g}",
        # With the Prometheus operator that name is its own one's: k8s/components/operator.
        "provider": {"prometheus": {"address": "http://prometheus.dashcam:9090", "query": query}},
    }


def limit(slo: Slo, objectives: Objectives) -> float:
    """The share of bad events from which on somebody would be woken: the fastest burn of the pages."""
    return min(1.0, max(rate.factor for rate in objectives.burn_rates["page"]) * slo.budget)


def _rollout(service: str) -> dict[str, Any]:
    steps: list[dict[str, Any]] = []
    for share in STEPS:
        steps += [{"setWeight": share}, {"pause": {"duration": PAUSE}}]
    hash_of_the_new = {"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}}
    return {
        "apiVersion": API,
        "kind": "Rollout",
        "metadata": {"name": service, "labels": _labels(service)},
        "spec": {
            "workloadRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": service,
                "scaleDown": "progressively",
            },
            "selector": {"matchLabels": {"app.kubernetes.io/name": service}},
            "revisionHistoryLimit": 5,
            "strategy": {
                "canary": {
                    "maxSurge": 1,
                    "maxUnavailable": 0,
                    "steps": steps,
                    "analysis": {
                        "templates": [{"templateName": service}],
                        "args": [hash_of_the_new],
                        "startingStep": 1,
                    },
                }
            },
        },
    }
