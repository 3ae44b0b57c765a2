"""Every rule holds in every combination, and each rule sees the defect that it is there for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from manifests import Manifests
from policies import POLICIES
from rendering import COMBINATIONS, rendered


@pytest.mark.parametrize("name", COMBINATIONS)
@pytest.mark.parametrize("rule", POLICIES)
def test_the_rule_holds(rule: str, name: str) -> None:
    assert list(POLICIES[rule](Manifests(rendered(name)))) == []


def find(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return next(
        each
        for each in objects
        if each["kind"] == kind and each["metadata"]["name"] in (name, f"dashcam-{name}")
    )


def pod(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = find(objects, kind, name)["spec"]["template"]["spec"]
    return spec


def car(objects: list[dict[str, Any]]) -> dict[str, Any]:
    container: dict[str, Any] = pod(objects, "Deployment", "car")["containers"][0]
    return container


Mutation = Callable[[list[dict[str, Any]]], object]
DEFECTS: list[tuple[str, str, Mutation]] = [
    (
        "everything_has_a_namespace",
        "no namespace",
        lambda o: find(o, "Service", "car")["metadata"].pop("namespace"),
    ),
    ("everything_has_the_labels", "no label", lambda o: find(o, "Service", "car")["metadata"].pop("labels")),
    (
        "everything_has_the_labels",
        "a pod without a version",
        lambda o: find(o, "Deployment", "car")["spec"]["template"]["metadata"]["labels"].pop(
            "app.kubernetes.io/version"
        ),
    ),
    (
        "images_are_pinned_and_the_version_label_says_so",
        "latest",
        lambda o: car(o).update(image="dashcam/car:latest"),
    ),
    (
        "images_are_pinned_and_the_version_label_says_so",
        "another version",
        lambda o: car(o).update(image="dashcam/car:9.9.9"),
    ),
    (
        "long_running_containers_have_all_three_probes",
        "no readiness probe",
        lambda o: pod(o, "StatefulSet", "postgres")["containers"][0].pop("readinessProbe"),
    ),
    (
        "probes_ask_ports_that_exist",
        "a port that is not there",
        lambda o: car(o)["livenessProbe"]["httpGet"].update(port="admin"),
    ),
    (
        "services_are_probed_on_the_admin_port",
        "readiness by /livez",
        lambda o: car(o)["readinessProbe"]["httpGet"].update(path="/livez"),
    ),
    ("containers_have_requests_and_limits", "no limits", lambda o: car(o)["resources"].pop("limits")),
    ("containers_are_restricted", "a capability", lambda o: car(o)["securityContext"].pop("capabilities")),
    (
        "containers_are_restricted",
        "root",
        lambda o: pod(o, "Deployment", "grafana")["securityContext"].pop("runAsNonRoot"),
    ),
    (
        "containers_are_restricted",
        "a host path more",
        lambda o: pod(o, "DaemonSet", "fluent-bit")["volumes"].append(
            {"name": "x", "hostPath": {"path": "/"}}
        ),
    ),
    (
        "only_the_node_agents_are_outside_of_the_restricted_namespace",
        "a lax namespace",
        lambda o: find(o, "Namespace", "dashcam")["metadata"]["labels"].update(
            {"pod-security.kubernetes.io/enforce": "baseline"}
        ),
    ),
    (
        "accounts_are_their_own_and_tokens_are_mounted_where_rights_exist",
        "a token without rights",
        lambda o: pod(o, "Deployment", "grafana").update(automountServiceAccountToken=True),
    ),
    (
        "accounts_are_their_own_and_tokens_are_mounted_where_rights_exist",
        "rights without a token",
        lambda o: pod(o, "StatefulSet", "collector").pop("automountServiceAccountToken"),
    ),
    (
        "roles_name_what_they_allow",
        "a star",
        lambda o: find(o, "Role", "collector")["rules"][0].update(resources=["*"]),
    ),
    (
        "roles_name_what_they_allow",
        "secrets",
        lambda o: find(o, "Role", "collector")["rules"][0].update(resources=["secrets"]),
    ),
    (
        "what_is_mounted_exists",
        "a key that is not there",
        lambda o: pod(o, "Deployment", "kibana")["containers"][0]["volumeMounts"][0].update(
            subPath="kibana.yaml"
        ),
    ),
    (
        "what_is_mounted_exists",
        "a ConfigMap that is not there",
        lambda o: pod(o, "Deployment", "jaeger")["volumes"][0]["configMap"].update(name="jaeger"),
    ),
    ("every_config_map_is_used", "an envFrom lost", lambda o: car(o).update(envFrom=[])),
    (
        "no_secret_is_in_a_file",
        "a password",
        lambda o: pod(o, "StatefulSet", "postgres")["containers"][0]["env"].append(
            {"name": "POSTGRES_PASSWORD", "value": "hunter2"}
        ),
    ),
    (
        "services_select_pods_and_name_their_ports",
        "a selector that selects nothing",
        lambda o: find(o, "Service", "car")["spec"]["selector"].update({"app.kubernetes.io/name": "cars"}),
    ),
    (
        "services_select_pods_and_name_their_ports",
        "a port that is not there",
        lambda o: find(o, "Service", "car")["spec"]["ports"][0].update(targetPort="www"),
    ),
    (
        "budgets_and_autoscalers_have_their_targets",
        "replicas beside an autoscaler",
        lambda o: find(o, "Deployment", "car")["spec"].update(replicas=1),
    ),
    (
        "what_has_several_pods_has_a_budget_and_is_spread",
        "two of one without a budget",
        lambda o: find(o, "Deployment", "grafana")["spec"].update(replicas=2),
    ),
    (
        "services_roll_without_a_gap",
        "one less while rolling",
        lambda o: find(o, "Deployment", "car")["spec"]["strategy"]["rollingUpdate"].update(maxUnavailable=1),
    ),
    (
        "claims_can_be_applied_again",
        "a version on a claim",
        lambda o: find(o, "StatefulSet", "postgres")["spec"]["volumeClaimTemplates"][0]["metadata"].update(
            labels={"app.kubernetes.io/version": "17.6"}
        ),
    ),
    (
        "jobs_make_room_for_their_next_version",
        "a Job for ever",
        lambda o: find(o, "Job", "kibana-bootstrap")["spec"].pop("ttlSecondsAfterFinished"),
    ),
    ("variables_are_defined_before_they_are_used", "the other order", lambda o: car(o)["env"].reverse()),
    (
        "only_web_is_shown_to_the_world",
        "a NodePort",
        lambda o: find(o, "Service", "grafana")["spec"].update(type="NodePort"),
    ),
]


@pytest.mark.parametrize(("rule", "defect", "mutate"), DEFECTS, ids=[f"{r}: {d}" for r, d, _ in DEFECTS])
def test_the_rule_sees_the_defect(rule: str, defect: str, mutate: Mutation) -> None:
    objects = copy.deepcopy(list(rendered("local")))
    mutate(objects)
    assert list(POLICIES[rule](Manifests(objects))), f"{rule} does not see: {defect}"


def test_every_rule_has_a_defect_that_it_sees() -> None:
    assert {rule for rule, _, _ in DEFECTS} == set(POLICIES)
