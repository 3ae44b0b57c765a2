"""A real Kubernetes API would take every object of every combination, strictly, and every pod of theirs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
from api_objects import Api, complaints, pod_of
from exampleservices import LAST
from manifests import Manifests, Workload
from rendering import COMBINATIONS, rendered

Object = dict[str, Any]
API = "Kubernetes API server"
OVERLAYS = ("local", "production")
NODE_AGENTS = {"fluent-bit", "node-exporter"}

_taken: set[str] = set()


def find(objects: Sequence[Object], kind: str, name: str) -> Object:
    return next(each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name))


@pytest.mark.verifies(component=API, claim="takes every combination of components, validated strictly")
@pytest.mark.parametrize("name", [name for name in COMBINATIONS if name not in OVERLAYS])
def test_a_combination_would_be_taken_without_a_word(name: str, api: Api) -> None:
    fresh = [each for each in rendered(name) if repr(each) not in _taken]  # they have most in common
    _make_namespaces(fresh, api)
    assert complaints(api, fresh, dry_run=True) == []
    _taken.update(map(repr, fresh))


def _make_namespaces(objects: Sequence[Object], api: Api) -> None:
    """Make the namespaces that are not ours: Argo CD and Flux have theirs before anybody asks."""
    own = {each["metadata"]["name"] for each in objects if each["kind"] == "Namespace"}
    for name in {each["metadata"].get("namespace") for each in objects} & {"argocd", "flux-system"} - own:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        assert complaints(api, [namespace]) == []


# -- Pod Security -----------------------------------------------------------------------------------


def pods(name: str) -> list[Workload]:
    return Manifests(rendered(name)).workloads()


@pytest.mark.verifies(component=API, claim="admits every pod into its namespace, Pod Security enforced")
@pytest.mark.parametrize("name", COMBINATIONS)
def test_every_pod_is_admitted_where_it_belongs(name: str, api: Api) -> None:
    accounts = [each for each in rendered(name) if each["kind"] == "ServiceAccount"]
    assert not complaints(api, accounts)
    wrong = [
        said
        for each in pods(name)
        for said in api.create(pod_of(each), dry_run=True).complaints(pod_of(each))
    ]
    assert wrong == []


@pytest.mark.verifies(component=API, claim="refuses the two node agents alone where pods must be restricted")
def test_only_the_node_agents_would_be_refused_among_the_others(api: Api) -> None:
    refused = set()
    for workload in pods("production"):
        pod = pod_of(workload)
        pod["metadata"]["namespace"] = "dashcam"
        pod["spec"].pop("serviceAccountName", None)
        answer = api.create(pod, dry_run=True)
        if "violates PodSecurity" in answer.body.get("message", ""):
            refused.add(workload.name)
    assert refused == NODE_AGENTS


def test_a_privileged_pod_is_refused(api: Api) -> None:
    pod = pod_of(next(each for each in pods("local") if each.name == LAST.name))
    pod["spec"] = copy.deepcopy(pod["spec"])
    pod["spec"].pop("serviceAccountName")
    pod["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    said = api.create(pod, dry_run=True)
    assert said.status == 403
    assert 'violates PodSecurity "restricted' in said.body["message"]


# -- the API does see what is wrong -----------------------------------------------------------------


def test_a_field_that_does_not_exist_is_refused(api: Api) -> None:
    deployment = copy.deepcopy(find(rendered("local"), "Deployment", "car"))
    deployment["spec"]["replica"] = 3
    said = api.apply(deployment, dry_run=True)
    assert said.status in (400, 422, 500), said.body
    assert "replica" in said.body["message"]


def test_a_field_that_a_definition_does_not_know_is_refused(api: Api) -> None:
    certificate = copy.deepcopy(find(rendered("production"), "Certificate", "elasticsearch"))
    certificate["spec"]["secret"] = "x"
    said = api.apply(certificate, dry_run=True)
    assert not said.accepted
    assert "secret" in said.body["message"]
