"""Questions to a list of Kubernetes objects: which pods there are, what they name, what is selected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
Labels = dict[str, str]

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
LONG_RUNNING = ("Deployment", "StatefulSet", "DaemonSet")
OPERATED = ("Elasticsearch", "Kibana")
CLUSTER_WIDE = ("Namespace", "ClusterRole", "ClusterRoleBinding", "ClusterIssuer", "ClusterSecretStore")
NAME, COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"
PART_OF, VERSION = "app.kubernetes.io/part-of", "app.kubernetes.io/version"


@dataclass(frozen=True)
class Workload:
    """An object that makes pods, and the pods' template."""

    kind: str
    name: str
    namespace: str
    labels: Labels
    spec: Object
    pod_labels: Labels
    pod: Object

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def containers(self) -> list[Object]:
        return [*self.pod.get("initContainers", []), *self.pod["containers"]]


@dataclass(frozen=True)
class Manifests:
    objects: Sequence[Object]

    def of(self, *kinds: str) -> list[Object]:
        return [each for each in self.objects if each["kind"] in kinds]

    def workloads(self, *kinds: str) -> list[Workload]:
        return [_workload(each) for each in self.of(*(kinds or WORKLOADS))]

    def operated(self) -> list[Workload]:
        """What operators make pods of by a template of ours: ECK's kinds."""
        return [_operated(each) for each in self.of(*OPERATED)]

    def services(self) -> list[Workload]:
        """The Deployments of the services."""
        return [each for each in self.workloads("Deployment") if each.labels.get(COMPONENT) == "service"]

    def config_map(self, name: str, namespace: str) -> dict[str, str] | None:
        for each in self.of("ConfigMap"):
            if (each["metadata"]["name"], namespace_of(each)) == (name, namespace):
                data: dict[str, str] = each["data"]
                return data
        return None

    def config_files(self, name: str, namespace: str = "dashcam") -> dict[str, str]:
        """The data of the one ConfigMap with this name, whatever its hash."""
        found = [
            each["data"]
            for each in self.of("ConfigMap")
            if each["metadata"]["name"].rsplit("-", 1)[0] == name and namespace_of(each) == namespace
        ]
        assert len(found) == 1, f"{len(found)} ConfigMaps are called {name}"
        data: dict[str, str] = found[0]
        return data


def _workload(each: Object) -> Workload:
    spec = each["spec"]
    template = (spec["jobTemplate"]["spec"] if each["kind"] == "CronJob" else spec)["template"]
    meta = each["metadata"]
    return Workload(
        each["kind"],
        meta["name"],
        namespace_of(each),
        meta.get("labels", {}),
        spec,
        template["metadata"]["labels"],
        template["spec"],
    )


def _operated(each: Object) -> Workload:
    spec, meta = each["spec"], each["metadata"]
    (template,) = [part["podTemplate"] for part in spec.get("nodeSets", [spec])]
    return Workload(
        each["kind"],
        meta["name"],
        namespace_of(each),
        meta["labels"],
        spec,
        template["metadata"]["labels"],
        template["spec"],
    )


def namespace_of(each: Object) -> str:
    namespace: str = each["metadata"].get("namespace", "")
    return namespace


def shown(each: Object) -> str:
    return f"{each['kind']} {namespace_of(each)}/{each['metadata']['name']}"


def selects(selector: Object, labels: Labels) -> bool:
    """A label selector of Kubernetes, as far as these manifests use it."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for rule in selector.get("matchExpressions", []):
        inside = labels.get(rule["key"]) in rule.get("values", [])
        if rule["operator"] not in ("In", "NotIn"):
            raise NotImplementedError(rule["operator"])
        if inside != (rule["operator"] == "In"):
            return False
    return True


def ports(workload: Workload) -> Iterator[tuple[str, int, str]]:
    """Every declared port of a pod as (name, number, protocol)."""
    for container in workload.pod["containers"]:
        for port in container.get("ports", []):
            yield port["name"], port["containerPort"], port.get("protocol", "TCP")


def config_map_names(workload: Workload) -> Iterator[tuple[str, list[str]]]:
    """Every ConfigMap that a pod names, with the keys that it must have."""
    mounts = [mount for container in workload.containers for mount in container.get("volumeMounts", [])]
    for volume in workload.pod.get("volumes", []):
        if "configMap" in volume:
            paths = [mount.get("subPath") for mount in mounts if mount["name"] == volume["name"]]
            items = [item["key"] for item in volume["configMap"].get("items", [])]
            yield volume["configMap"]["name"], [*filter(None, paths), *items]
    for container in workload.containers:
        for source in container.get("envFrom", []):
            if "configMapRef" in source:
                yield source["configMapRef"]["name"], []
        for variable in container.get("env", []):
            reference = variable.get("valueFrom", {}).get("configMapKeyRef")
            if reference:
                yield reference["name"], [reference["key"]]
