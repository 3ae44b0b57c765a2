"""Objects of manifests given to a real Kubernetes API, one by one, as server-side apply does it."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from crds import definition, is_custom
from manifests import Workload, shown
from polling import until

Object = dict[str, Any]
MANAGER = "dashcam"
BEFORE_OTHERS = ("Namespace", "ServiceAccount")
"""What has to be there before anything that lives in it or runs as it."""


@dataclass(frozen=True)
class Answer:
    """What the API said to one object: the object as it is kept, or why it was refused, and all warnings."""

    status: int
    body: Object
    warnings: tuple[str, ...]

    @property
    def accepted(self) -> bool:
        return self.status in (200, 201)

    @property
    def version(self) -> str:
        """Changes whenever the object changes, and only then."""
        return str(self.body["metadata"]["resourceVersion"])

    def complaints(self, each: Object) -> list[str]:
        """Nothing for an object that was taken without a word."""
        refused = [] if self.accepted else [f"{self.status} {self.body.get('message', self.body)}"]
        return [f"{shown(each)}: {said}" for said in (*refused, *self.warnings)]


class Api:
    """The few verbs that the tests need, over `client`. Each is strict: an unknown field is an error.

    The definition of a custom resource is applied before the first object of its kind.
    """

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self._resources = functools.cache(self._discover)
        self._known = functools.cache(self._define)

    def apply(
        self, each: Object, *, manager: str = MANAGER, force: bool = True, dry_run: bool = False
    ) -> Answer:
        """Server-side apply."""
        parameters = {"fieldManager": manager, "fieldValidation": "Strict", "force": str(force).lower()}
        answer = self.client.patch(
            self.address(each),
            params=parameters | ({"dryRun": "All"} if dry_run else {}),
            content=json.dumps(each),  # which is YAML, too
            headers={"Content-Type": "application/apply-patch+yaml"},
        )
        return _answer(answer)

    def create(self, each: Object, *, dry_run: bool = False) -> Answer:
        parameters = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return _answer(self.client.post(self.address(each).rpartition("/")[0], params=parameters, json=each))

    def get(self, each: Object) -> Answer:
        return _answer(self.client.get(self.address(each)))

    def patch(self, each: Object, change: Object, *, manager: str, part: str = "") -> Answer:
        """A merge patch, as people and controllers send it; `part` is a subresource as /scale."""
        return _answer(
            self.client.patch(
                self.address(each) + part,
                params={"fieldManager": manager},
                json=change,
                headers={"Content-Type": "application/merge-patch+json"},
            )
        )

    def address(self, each: Object) -> str:
        """Where an object is, or would be."""
        version, meta = each["apiVersion"], each["metadata"]
        if is_custom(version):
            self._known(version, each["kind"])
        plural, namespaced = self._resources(version, each["kind"])
        root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
        inside = f"/namespaces/{meta['namespace']}" if namespaced else ""
        return f"{root}{inside}/{plural}/{meta['name']}"

    def _discover(self, version: str, kind: str) -> tuple[str, bool]:
        path = f"/api/{version}" if "/" not in version else f"/apis/{version}"
        for each in self.client.get(path).raise_for_status().json()["resources"]:
            if each["kind"] == kind and "/" not in each["name"]:
                return each["name"], each["namespaced"]
        raise AssertionError(f"the API serves no {kind} in {version}")

    def _define(self, version: str, kind: str) -> None:
        crd = {**definition(version.partition("/")[0], kind)}
        crd.pop("status", None)
        said = self.apply(crd)
        assert said.accepted, said.complaints(crd)
        name = crd["metadata"]["name"]
        until(lambda: self._resources(version, kind), f"{name} to be served", within=60, every=0.2)


def _answer(answer: httpx.Response) -> Answer:
    # RFC 9111, 5.5: `299 - "text"`; the text is all that matters.
    warnings = tuple(text.partition('"')[2].rstrip('"') for text in answer.headers.get_list("warning"))
    return Answer(answer.status_code, answer.json(), warnings)


def in_order(objects: Iterable[Object]) -> list[Object]:
    """Namespaces, then accounts, then the others as they came."""
    first = {kind: place for place, kind in enumerate(BEFORE_OTHERS)}
    return sorted(objects, key=lambda each: first.get(each["kind"], len(first)))


def pod_of(workload: Workload) -> Object:
    """A pod as the workload's controller would make it."""
    spec = dict(workload.pod)
    claims = [each["metadata"]["name"] for each in workload.spec.get("volumeClaimTemplates", [])]
    spec["volumes"] = [
        *spec.get("volumes", []),
        *({"name": name, "persistentVolumeClaim": {"claimName": f"{name}-0"}} for name in claims),
    ]
    meta = {"name": f"{workload.name}-x", "namespace": workload.namespace, "labels": workload.pod_labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def complaints(api: Api, objects: Sequence[Object], *, dry_run: bool = False) -> list[str]:
    """What the API says against any of them."""
    return [line for each in in_order(objects) for line in api.apply(each, dry_run=dry_run).complaints(each)]


def delete(api: Api, objects: Sequence[Object]) -> None:
    """Delete all but the namespaces, the last first, and return once they are gone."""
    deleted = [each for each in reversed(objects) if each["kind"] != "Namespace"]
    for each in deleted:
        api.client.delete(api.address(each), params={"propagationPolicy": "Background"})
    until(lambda: all(api.get(each).status == 404 for each in deleted), "all to be gone", within=60, every=1)
