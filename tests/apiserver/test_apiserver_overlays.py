"""Both overlays in a real Kubernetes API: kept as sent, unchanged by a second apply, with few rights."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from api_objects import Answer, Api, delete, in_order
from manifests import shown
from polling import until
from rendering import rendered

Object = dict[str, Any]
API = "Kubernetes API server"
OVERLAYS = ("local", "production")


def find(objects: Sequence[Object], kind: str, name: str) -> Object:
    return next(each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name))


@pytest.fixture(scope="module", params=OVERLAYS)
def applied(request: pytest.FixtureRequest, api: Api) -> Iterator[list[tuple[Object, Answer]]]:
    """An overlay in the cluster, with what the API answered to each object; gone again afterwards."""
    objects = in_order(rendered(request.param))
    yield [(each, api.apply(each)) for each in objects]
    delete(api, objects)


@pytest.mark.verifies(
    component=API,
    claim="keeps every object of both overlays, validated strictly, without a warning",
)
def test_an_overlay_is_taken_without_a_word(applied: list[tuple[Object, Answer]]) -> None:
    assert len(applied) > 80
    assert [said for each, answer in applied for said in answer.complaints(each)] == []


@pytest.mark.verifies(component=API, claim="is not changed by a second apply: no object gets a new version")
def test_applying_again_changes_nothing(applied: list[tuple[Object, Answer]], api: Api) -> None:
    def changed() -> list[str]:
        before = {shown(each): _meant(api.get(each)) for each, _ in applied}
        return [shown(each) for each, _ in applied if _meant(api.apply(each)) != before[shown(each)]]

    # Their controllers note a revision on each by themselves, and how many pods there must be at least.
    least = {
        each["spec"]["scaleTargetRef"]["name"]: each["spec"]["minReplicas"]
        for each, _ in applied
        if each["kind"] == "HorizontalPodAutoscaler"
    }

    def settled(each: Object) -> bool:
        answer = api.get(each)
        return _numbered(answer) and answer.body["spec"]["replicas"] >= least.get(each["metadata"]["name"], 0)

    deployments = [each for each, _ in applied if each["kind"] == "Deployment"]
    until(lambda: all(map(settled, deployments)), "every Deployment to be seen by its controllers", within=90)
    assert changed() == []


@pytest.mark.verifies(component=API, claim="has no field that a controller and we set in turns")
def test_no_field_is_given_back_and_forth(applied: list[tuple[Object, Answer]], api: Api) -> None:
    """A controller that sets a field of ours would take it at each turn; without force that is a conflict."""
    refused = [(each, api.apply(each, force=False)) for each, _ in applied]
    assert [said for each, answer in refused for said in answer.complaints(each)] == []


def _numbered(answer: Answer) -> bool:
    return "deployment.kubernetes.io/revision" in answer.body["metadata"].get("annotations", {})


def _meant(answer: Answer) -> object:
    """The object without what controllers note on it by themselves."""
    assert answer.accepted, answer.body
    kept = copy.deepcopy(answer.body)
    kept.pop("status", None)
    for key in ("resourceVersion", "managedFields"):
        kept["metadata"].pop(key)
    return kept


def test_what_the_autoscaler_did_is_not_undone(applied: list[tuple[Object, Answer]], api: Api) -> None:
    deployment = find([each for each, _ in applied], "Deployment", "car")
    scaled = api.patch(deployment, {"spec": {"replicas": 5}}, manager="autoscaler", part="/scale")
    assert scaled.accepted, scaled.body

    assert api.apply(deployment).body["spec"]["replicas"] == 5


def test_what_somebody_changed_by_hand_becomes_ours_again(
    applied: list[tuple[Object, Answer]], api: Api
) -> None:
    deployment = find([each for each, _ in applied], "Deployment", "car")
    by_hand = {"spec": {"revisionHistoryLimit": 1}}
    assert api.patch(deployment, by_hand, manager="somebody").accepted
    assert api.apply(deployment, force=False).status == 409

    kept = api.apply(deployment).body["spec"]["revisionHistoryLimit"]
    assert kept == deployment["spec"]["revisionHistoryLimit"]


def test_deployments_get_their_pods(applied: list[tuple[Object, Answer]], api: Api) -> None:
    """Quotas, limits and Pod Security have let through what the controllers made."""
    deployments = [each for each, _ in applied if each["kind"] == "Deployment"]

    def lacking() -> list[str]:
        found = []
        for each in deployments:
            status = api.get(each).body.get("status", {})
            failed = [
                one["message"] for one in status.get("conditions", []) if one["type"] == "ReplicaFailure"
            ]
            if failed or not status.get("updatedReplicas"):
                found.append(f"{shown(each)}: {failed or status}")
        return found

    until(lambda: not lacking(), lambda: f"pods of all Deployments; {lacking()}", within=60, every=1)


# -- rights -----------------------------------------------------------------------------------------

ALLOWED = [
    ("prometheus", "dashcam", "list", "pods", "dashcam"),
    ("prometheus", "dashcam", "watch", "pods", "dashcam-agents"),
    ("prometheus", "dashcam", "get", "nodes/metrics", ""),
    ("collector", "dashcam", "watch", "pods", "dashcam"),
    ("fluent-bit", "dashcam-agents", "get", "pods", "default"),
    ("kube-state-metrics", "dashcam", "list", "pods", "dashcam"),
]
REFUSED = [
    ("prometheus", "dashcam", "get", "secrets", "dashcam"),
    ("prometheus", "dashcam", "list", "pods", "kube-system"),
    ("collector", "dashcam", "get", "secrets", "dashcam"),
    ("collector", "dashcam", "list", "pods", "kube-system"),
    ("fluent-bit", "dashcam-agents", "get", "secrets", "dashcam-agents"),
    ("kube-state-metrics", "dashcam", "get", "secrets", "dashcam"),
    ("car", "dashcam", "get", "pods", "dashcam"),
    ("web", "dashcam", "get", "configmaps", "dashcam"),
    ("grafana", "dashcam", "get", "secrets", "dashcam"),
]


def may(api: Api, account: str, namespace: str, verb: str, resource: str, inside: str) -> bool:
    name, _, part = resource.partition("/")
    asked = {"verb": verb, "resource": name, "subresource": part, "namespace": inside}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{namespace}:{account}",
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": asked,
        },
    }
    answer = api.client.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", json=review)
    return bool(answer.raise_for_status().json()["status"]["allowed"])


@pytest.mark.parametrize("right", [*ALLOWED, *REFUSED], ids=" ".join)
@pytest.mark.usefixtures("applied")
def test_an_account_may_do_what_it_needs_and_no_more(right: tuple[str, ...], api: Api) -> None:
    assert may(api, *right) == (right in ALLOWED)
