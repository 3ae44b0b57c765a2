"""Waiting for a deployment: what is ready is told, what is not is named with why."""

from __future__ import annotations

from typing import Any

import pytest

from dashcam.cluster import readiness
from dashcam.cluster.kubectl import ClusterError
from dashcam.cluster.readiness import seconds, wait_until_ready

Object = dict[str, Any]
LABELS = {"app.kubernetes.io/name": "car"}


def workload(kind: str, name: str = "car", status: Object | None = None, **spec: Any) -> Object:
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": "dashcam", "generation": 2},
        "spec": {"selector": {"matchLabels": LABELS}, **spec},
        "status": {"observedGeneration": 2, **(status or {})},
    }


def pod(**status: Any) -> Object:
    return {"kind": "Pod", "metadata": {"name": "car-1", "labels": LABELS}, "spec": {}, "status": status}


class Cluster:
    """In place of kubectl: answers each look with the next list of objects, and then always with the last."""

    def __init__(self, *looks: list[Object]) -> None:
        self._looks = list(looks)

    def get(self, *_: str) -> Object:
        return {"items": self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]}


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "ASK_SECONDS", 0.001)


def why(*objects: Object) -> str:
    """What a wait for `car` that has no time says of these objects."""
    with pytest.raises(ClusterError) as failure:
        wait_until_ready(Cluster(list(objects)), [objects[0]], print, 0)  # type: ignore[arg-type]
    return str(failure.value)


READY = {"updatedReplicas": 2, "readyReplicas": 2}


def test_each_part_is_told_once_when_it_is_ready() -> None:
    slow = workload("StatefulSet", "postgres", replicas=1)
    done = workload("StatefulSet", "postgres", {"updatedReplicas": 1, "readyReplicas": 1}, replicas=1)
    car = workload("Deployment", status=READY, replicas=2)
    told: list[str] = []

    wait_until_ready(Cluster([car, slow], [car, slow], [car, done]), [car, slow], told.append, 60)  # type: ignore[arg-type]

    assert told == [
        "ready: dashcam/deployment/car (1 of 2)",
        "waiting: dashcam/statefulset/postgres: 0 of 1 pods are ready",
        "ready: dashcam/statefulset/postgres (2 of 2)",
    ]


def test_until_then_a_reason_is_told_once_and_again_when_it_is_another() -> None:
    def waits(reason: str) -> list[Object]:
        state = {"name": "app", "state": {"waiting": {"reason": reason}}}
        return [workload("Deployment", replicas=1), pod(containerStatuses=[state])]

    done = [workload("Deployment", status={"updatedReplicas": 1, "readyReplicas": 1}, replicas=1)]
    looks = [waits("ContainerCreating"), waits("ContainerCreating"), waits("ErrImagePull"), done]
    told: list[str] = []

    wait_until_ready(Cluster(*looks), done, told.append, 60)  # type: ignore[arg-type]

    assert told == [
        "waiting: dashcam/deployment/car: 0 of 1 pods are ready; app: ContainerCreating",
        "waiting: dashcam/deployment/car: 0 of 1 pods are ready; app: ErrImagePull",
        "ready: dashcam/deployment/car (1 of 1)",
    ]


def event(message: str, when: str) -> Object:
    about = {"kind": "Pod", "name": "car-1"}
    return {"kind": "Event", "involvedObject": about, "message": message, "lastTimestamp": when}


@pytest.mark.parametrize(
    "state",
    [{"state": {"waiting": {"reason": "ContainerCreating"}}}, {"state": {"running": {}}, "ready": False}],
)
def test_the_newest_event_says_what_a_container_waits_for(state: Object) -> None:
    car = workload("Deployment", replicas=1)
    events = [event("Pulling image", "2026-01-01T00:00:02Z"), event("Scheduled", "2026-01-01T00:00:01Z")]
    assert "Pulling image" in why(car, pod(containerStatuses=[{"name": "app", **state}]), *events)
    assert "Scheduled" not in why(car, pod(containerStatuses=[{"name": "app", **state}]), *events)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (workload("Deployment", status={**READY, "readyReplicas": 1}, replicas=2), "1 of 2 pods are ready"),
        (workload("Deployment", status={**READY, "updatedReplicas": 1}, replicas=2), "1 of 2 pods are ready"),
        (
            workload("Deployment", status={**READY, "observedGeneration": 1}, replicas=2),
            "has not seen it yet",
        ),
        # The new pod is there and not ready; the old one is, and stays for as long.
        (
            workload(
                "Deployment", status={"replicas": 2, "updatedReplicas": 1, "readyReplicas": 1}, replicas=1
            ),
            "0 of 1 pods are ready",
        ),
        (workload("DaemonSet", status={"desiredNumberScheduled": 3}), "0 of 3 pods are ready"),
        (workload("Job"), "it has not finished"),
    ],
)
def test_what_is_lacking_is_said(found: Object, reason: str) -> None:
    assert reason in why(found)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (
            {"containerStatuses": [{"name": "app", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]},
            "app: ImagePullBackOff",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: memory"}]},
            "0/1 nodes: memory",
        ),
        ({}, "no node has been chosen"),
    ],
)
def test_the_pods_say_why(status: Object, reason: str) -> None:
    assert reason in why(workload("Deployment", replicas=1), pod(**status))


def test_a_refusal_of_pods_is_said() -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "message": 'violates PodSecurity "restricted"'}
    assert "violates PodSecurity" in why(workload("Deployment", status={"conditions": [refused]}, replicas=1))


def test_a_job_that_failed_for_good_ends_the_wait_at_once() -> None:
    failed = {"type": "Failed", "status": "True", "message": "BackoffLimitExceeded"}
    job = workload("Job", "kibana-bootstrap", {"conditions": [failed]})
    with pytest.raises(ClusterError, match="kibana-bootstrap has failed: BackoffLimitExceeded"):
        wait_until_ready(Cluster([job]), [job], print, 3600)  # type: ignore[arg-type]


def test_a_job_that_is_gone_has_finished() -> None:
    wait_until_ready(Cluster([]), [workload("Job")], print, 0)  # type: ignore[arg-type]


def test_a_part_that_is_gone_is_missed() -> None:
    with pytest.raises(ClusterError, match="dashcam/deployment/car: it is not there"):
        wait_until_ready(Cluster([]), [workload("Deployment")], print, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "length"), [("90s", 90), ("15m", 900), ("1h30m", 5400)])
def test_a_length_of_time_is_spelled_as_for_kubectl(text: str, length: float) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["", "soon", "15", "-1m", "1m30"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write 90s, 15m or 1h30m"):
        seconds(text)
