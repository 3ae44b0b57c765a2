"""What of the manifests is not ready in the cluster yet, and why, in the words of its pods."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from dashcam.cluster.kubectl import ClusterError, Kubectl

Object = Mapping[str, Any]
KINDS = ("StatefulSet", "Job", "DaemonSet", "Deployment")
ASK_SECONDS = 2.0
"""Between two looks at the cluster."""

BEING_MADE = ("ContainerCreating", "PodInitializing")
"""Reasons of a waiting container that do not say for what: an image, a volume, a Secret that is missing."""

_UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """A length of time as kubectl spells it: 90s, 15m, 1h30m. Raises ValueError for anything else."""
    if not re.fullmatch(r"(\d+[smh])+", text):
        raise ValueError(f"{text!r} is no length of time; write 90s, 15m or 1h30m")
    return float(sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smh])", text)))


def wait_until_ready(
    kubectl: Kubectl, objects: Sequence[Object], say: Callable[[str], object], timeout: float
) -> None:
    """Wait for every workload and Job of the manifests.

    Tells of each as it gets ready, and until then why it is not, whenever the reason is another.
    Raises ClusterError for a Job that has failed for good, and after `timeout` seconds for all that is not
    ready then, each with what its pods wait for.
    """
    wanted = {_name(each) for each in objects if each["kind"] in KINDS}
    deadline, told, before = time.monotonic() + timeout, set[str](), dict[str, str]()
    while True:
        waiting = dict(not_ready(kubectl, wanted))
        for name in sorted(wanted - waiting.keys() - told):
            told.add(name)
            say(f"ready: {name} ({len(told)} of {len(wanted)})")
        for name in sorted(name for name in waiting if waiting[name] != before.get(name)):
            say(f"waiting: {name}: {waiting[name]}")
        before = waiting
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise ClusterError(
                f"{len(waiting)} of {len(wanted)} are not ready after {timeout:.0f} s:\n"
                + "\n".join(f"  {name}: {reason}" for name, reason in sorted(waiting.items()))
            )
        time.sleep(ASK_SECONDS)


def not_ready(kubectl: Kubectl, wanted: set[str]) -> Iterator[tuple[str, str]]:
    """Each of the `wanted` (namespace/kind/name) that is not ready, with why."""
    namespaces = sorted({name.partition("/")[0] for name in wanted})
    for namespace in namespaces:
        kinds = ",".join(kind.lower() for kind in KINDS)
        found = kubectl.get(f"{kinds},pods,events", "-n", namespace)["items"]
        pods = [each for each in found if each["kind"] == "Pod"]
        happened = _latest(each for each in found if each["kind"] == "Event")
        there = {_name(each): each for each in found if each["kind"] in KINDS}
        for name in sorted(each for each in wanted if each.startswith(f"{namespace}/")):
            if name not in there:
                # A finished Job deletes itself after a while.
                if "/job/" not in name:
                    yield name, "it is not there"
            elif lacking := _lacking(there[name]):
                yield name, "; ".join([lacking, *_reasons(there[name], pods, happened)])


def _name(each: Object) -> str:
    meta = each["metadata"]
    return f"{meta.get('namespace', '')}/{each['kind'].lower()}/{meta['name']}"


def _lacking(each: Object) -> str:
    """What the object lacks, in a few words; empty when it is ready."""
    status, spec = each.get("status", {}), each["spec"]
    if each["kind"] == "Job":
        return _of_job(each)
    if status.get("observedGeneration", 0) < each["metadata"]["generation"]:
        return "its controller has not seen it yet"
    if each["kind"] == "DaemonSet":
        want, new = status.get("desiredNumberScheduled", 0), status.get("updatedNumberScheduled", 0)
        ready = status.get("numberReady", 0)
    else:
        want, new = spec.get("replicas", 1), status.get("updatedReplicas", 0)
        # Pods of the version before count as ready too, and go only when the new ones are.
        ready = status.get("readyReplicas", 0) - max(0, status.get("replicas", new) - new)
    ready = max(0, min(ready, new))
    return "" if ready >= want else f"{ready} of {want} pods are ready"


def _of_job(each: Object) -> str:
    conditions = {one["type"]: one for one in each.get("status", {}).get("conditions", [])}
    if conditions.get("Failed", {}).get("status") == "True":
        namespace, _, name = _name(each).split("/")
        raise ClusterError(
            f"the Job {name} has failed: {conditions['Failed'].get('message', '')}; "
            f"`kubectl logs -n {namespace} job/{name}` says why"
        )
    return "" if conditions.get("Complete", {}).get("status") == "True" else "it has not finished"


def _latest(events: Iterable[Object]) -> Mapping[str, str]:
    """The newest event of each pod, by its name, in words; what a kubelet is at is nowhere else."""
    about = [each for each in events if each["involvedObject"].get("kind") == "Pod"]
    about.sort(key=lambda each: each.get("lastTimestamp") or each.get("eventTime") or "")
    return {each["involvedObject"]["name"]: each.get("message", "") for each in about}


def _reasons(each: Object, pods: Sequence[Object], happened: Mapping[str, str]) -> Iterator[str]:
    """What the object's controller and pods say, each sentence once."""
    said = [
        one["message"]
        for one in each.get("status", {}).get("conditions", [])
        if one["type"] == "ReplicaFailure" and one["status"] == "True"
    ]
    labels = (each["spec"].get("selector") or {}).get("matchLabels", {}).items()
    for pod in pods:
        if labels and labels <= pod["metadata"].get("labels", {}).items():
            said += _of_pod(pod, happened.get(pod["metadata"]["name"], ""))
    return iter(dict.fromkeys(said))


def _of_pod(pod: Object, last: str) -> Iterator[str]:
    """What a pod waits for; `last` is its newest event, which tells more while its containers are made."""
    status = pod.get("status", {})
    for one in status.get("conditions", []):
        if (one["type"], one["status"]) == ("PodScheduled", "False"):
            yield one.get("message", "no node takes the pod")
    states = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    for container in states:
        if waiting := container.get("state", {}).get("waiting"):
            said = waiting.get("message") or (last if waiting.get("reason") in BEING_MADE else "")
            yield f"{container['name']}: {waiting.get('reason', '')} {said}".strip()
        elif "running" in container.get("state", {}) and not container.get("ready", True) and last:
            yield f"{container['name']}: {last}"
    if not states and not any(one["type"] == "PodScheduled" for one in status.get("conditions", [])):
        yield "no node has been chosen for its pods yet"
