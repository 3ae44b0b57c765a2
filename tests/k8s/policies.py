"""The rules that every manifest keeps, each a function from the objects to the offences."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from manifests import (
    CLUSTER_WIDE,
    COMPONENT,
    LONG_RUNNING,
    NAME,
    PART_OF,
    VERSION,
    Manifests,
    Workload,
    config_map_names,
    namespace_of,
    ports,
    selects,
    shown,
)

Policy = Callable[[Manifests], Iterator[str]]
POLICIES: dict[str, Policy] = {}
LOG_AGENTS = {
    "fluent-bit": {"/var/log", "/var/lib/dashcam-fluent-bit"},
    "log-agent": {"/var/log", "/var/lib/dashcam-log-agent"},
}
"""Of which there is one: both run as root, for log files are root's."""
NODE_AGENTS = {**LOG_AGENTS, "node-exporter": {"/"}}
"""Those that may mount host paths, and which."""
KEEPERS = {"argocd", "flux-system"}
"""Where the programs live that keep a cluster as a repository says."""


def policy(function: Policy) -> Policy:
    POLICIES[function.__name__] = function
    return function


@policy
def everything_has_a_namespace(manifests: Manifests) -> Iterator[str]:
    known = {"dashcam", "dashcam-agents", "cert-manager", *KEEPERS}
    for each in manifests.objects:
        if each["kind"] not in CLUSTER_WIDE and namespace_of(each) not in known:
            yield f"{shown(each)} is in namespace {namespace_of(each)!r}"


@policy
def everything_has_the_labels(manifests: Manifests) -> Iterator[str]:
    for each in manifests.objects:
        if each["kind"] != "ConfigMap" and each["metadata"].get("labels", {}).get(PART_OF) != "dashcam":
            yield f"{shown(each)} is not labelled as part of dashcam"
    for workload in manifests.workloads():
        for labels, what in ((workload.labels, "itself"), (workload.pod_labels, "its pods")):
            for label in (NAME, COMPONENT, PART_OF, VERSION):
                if not labels.get(label):
                    yield f"{workload} lacks {label} on {what}"


@policy
def images_are_pinned_and_the_version_label_says_so(manifests: Manifests) -> Iterator[str]:
    for workload in manifests.workloads():
        for container in workload.containers:
            tag = container["image"].partition("@")[0].rpartition("/")[2].partition(":")[2]
            # A variant may follow the version: v0.7.2-elasticsearch9.
            version = re.fullmatch(r"v?(\d+\.\d+(?:\.\d+)?)(?:-[a-z]+\d*)?", tag)
            if not version:
                yield f"{workload}: {container['image']} is not pinned to a version"
            elif container["name"] in ("app", "server") and version[1] != workload.pod_labels.get(VERSION):
                yield f"{workload}: version label {workload.pod_labels.get(VERSION)}, image {tag}"
    for workload in manifests.operated():
        if workload.spec["version"] != workload.pod_labels.get(VERSION):
            yield f"{workload}: version label {workload.pod_labels.get(VERSION)}, {workload.spec['version']}"


@policy
def long_running_containers_have_all_three_probes(manifests: Manifests) -> Iterator[str]:
    for workload in manifests.workloads(*LONG_RUNNING):
        for container in workload.pod["containers"]:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if probe not in container:
                    yield f"{workload}, {container['name']}: no {probe}"


@policy
def probes_ask_ports_that_exist(manifests: Manifests) -> Iterator[str]:
    for workload in manifests.workloads(*LONG_RUNNING):
        for container in workload.pod["containers"]:
            names = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                asked = container.get(probe, {})
                port = asked.get("httpGet", asked.get("tcpSocket", {})).get("port")
                if port is not None and port not in names:
                    yield f"{workload}: {probe} asks port {port}"


@policy
def services_are_probed_on_the_admin_port(manifests: Manifests) -> Iterator[str]:
    expected = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    for workload in manifests.services():
        (container,) = workload.pod["containers"]
        if container["name"] != "app":
            yield f"{workload}: its container is called {container['name']}"
        if ("metrics", 9464, "TCP") not in ports(workload):
            yield f"{workload}: no admin port"
        for probe, path in expected.items():
            asked = container.get(probe, {}).get("httpGet", {})
            if (asked.get("path"), asked.get("port")) != (path, "metrics"):
                yield f"{workload}: {probe} asks {asked}"


@policy
def containers_have_requests_and_limits(manifests: Manifests) -> Iterator[str]:
    for workload in (*manifests.workloads(), *manifests.operated()):
        for container in workload.containers:
            for kind in ("requests", "limits"):
                given = container.get("resources", {}).get(kind, {})
                if set(given) != {"cpu", "memory"}:
                    yield f"{workload}, {container['name']}: {kind} are {given}"


@policy
def containers_are_restricted(manifests: Manifests) -> Iterator[str]:
    for workload in manifests.workloads():
        yield from _restricted_pod(workload)
        for container in workload.containers:
            context = container.get("securityContext", {})
            if context.get("allowPrivilegeEscalation") is not False:
                yield f"{workload}, {container['name']}: may gain privileges"
            if context.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{workload}, {container['name']}: keeps capabilities"
            if context.get("readOnlyRootFilesystem") is not True:
                yield f"{workload}, {container['name']}: writable root file system"
    # Of the containers, the operator says the same.
    for workload in manifests.operated():
        yield from _restricted_pod(workload)


def _restricted_pod(workload: Workload) -> Iterator[str]:
    context = workload.pod.get("securityContext", {})
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield f"{workload}: no seccomp profile"
    if context.get("runAsNonRoot") is not True and workload.name not in LOG_AGENTS:
        yield f"{workload}: may run as root"
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if workload.pod.get(key):
            yield f"{workload}: {key}"
    paths = {volume["hostPath"]["path"] for volume in workload.pod.get("volumes", []) if "hostPath" in volume}
    if forbidden := paths - NODE_AGENTS.get(workload.name, set()):
        yield f"{workload}: mounts {sorted(forbidden)} of the host"


@policy
def only_the_node_agents_are_outside_of_the_restricted_namespace(manifests: Manifests) -> Iterator[str]:
    levels = {
        each["metadata"]["name"]: each["metadata"]["labels"].get("pod-security.kubernetes.io/enforce")
        for each in manifests.of("Namespace")
    }
    for workload in manifests.workloads():
        agent = workload.name in NODE_AGENTS
        if levels.get(workload.namespace) != ("privileged" if agent else "restricted"):
            yield f"{workload} is in a namespace that enforces {levels.get(workload.namespace)}"


@policy
def accounts_are_their_own_and_tokens_are_mounted_where_rights_exist(manifests: Manifests) -> Iterator[str]:
    accounts = {
        (each["metadata"]["name"], namespace_of(each)): each for each in manifests.of("ServiceAccount")
    }
    bound = {
        (subject["name"], subject["namespace"])
        for each in manifests.of("RoleBinding", "ClusterRoleBinding")
        for subject in each["subjects"]
    }
    for account in accounts.values():
        if account.get("automountServiceAccountToken") is not False:
            yield f"{shown(account)} mounts its token into any pod"
    workloads = [*manifests.workloads(), *manifests.operated()]
    for workload in workloads:
        account_id = (workload.pod.get("serviceAccountName", "default"), workload.namespace)
        if account_id not in accounts:
            yield f"{workload} runs as {account_id[0]}, which does not exist"
        if bool(workload.pod.get("automountServiceAccountToken")) != (account_id in bound):
            yield f"{workload}: its token and its rights do not go together"
    for account_id in accounts.keys() - {
        (workload.pod.get("serviceAccountName"), workload.namespace) for workload in workloads
    }:
        yield f"ServiceAccount {account_id[0]} is nobody's"


@policy
def roles_name_what_they_allow(manifests: Manifests) -> Iterator[str]:
    for role in manifests.of("Role", "ClusterRole"):
        for rule in role["rules"]:
            words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            if "*" in words or not set(rule["verbs"]) <= {"get", "list", "watch"}:
                yield f"{shown(role)} allows {rule}"
            if "secrets" in rule["resources"]:
                yield f"{shown(role)} reads secrets"


@policy
def what_is_mounted_exists(manifests: Manifests) -> Iterator[str]:
    for workload in manifests.workloads():
        volumes = {volume["name"] for volume in workload.pod.get("volumes", [])}
        volumes |= {claim["metadata"]["name"] for claim in workload.spec.get("volumeClaimTemplates", [])}
        mounted = {mount["name"] for each in workload.containers for mount in each.get("volumeMounts", [])}
        if volumes != mounted:
            yield f"{workload}: volumes {sorted(volumes)}, mounted {sorted(mounted)}"
        for name, keys in config_map_names(workload):
            data = manifests.config_map(name, workload.namespace)
            if data is None:
                yield f"{workload}: there is no ConfigMap {name}"
            elif missing := [key for key in keys if key not in data]:
                yield f"{workload}: ConfigMap {name} lacks {missing}"


@policy
def every_config_map_is_used(manifests: Manifests) -> Iterator[str]:
    used = {
        (name, workload.namespace)
        for workload in manifests.workloads()
        for name, _ in config_map_names(workload)
    }
    for each in manifests.of("ConfigMap"):
        if (each["metadata"]["name"], namespace_of(each)) not in used:
            yield f"{shown(each)} is not used"


@policy
def no_secret_is_in_a_file(manifests: Manifests) -> Iterator[str]:
    for each in manifests.of("Secret"):
        yield f"{shown(each)} is in the manifests"
    for workload in manifests.workloads():
        for container in workload.containers:
            for variable in container.get("env", []):
                telling = re.search(r"PASSWORD|TOKEN|SECRET|_KEY$", variable["name"])
                if telling and "valueFrom" not in variable:
                    yield f"{workload}: {variable['name']} has its value in the manifest"


@policy
def services_select_pods_and_name_their_ports(manifests: Manifests) -> Iterator[str]:
    for service in manifests.of("Service"):
        if service["spec"].get("type") == "ExternalName":
            continue
        selector = {"matchLabels": service["spec"]["selector"]}
        chosen = [
            workload
            for workload in (*manifests.workloads(*LONG_RUNNING), *manifests.operated())
            if workload.namespace == namespace_of(service) and selects(selector, workload.pod_labels)
        ]
        if len(chosen) != 1:
            yield f"{shown(service)} selects {[str(each) for each in chosen]}"
            continue
        names = {name for name, _, _ in ports(chosen[0])}
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in names:
                yield f"{shown(service)} leads to port {port['targetPort']}, which {chosen[0]} does not have"


@policy
def budgets_and_autoscalers_have_their_targets(manifests: Manifests) -> Iterator[str]:
    targets = {(each.kind, each.name): each for each in manifests.workloads(*LONG_RUNNING)}
    for rollout in manifests.of("Rollout"):
        of = rollout["spec"]["workloadRef"]
        if (of["kind"], of["name"]) in targets and "replicas" not in rollout["spec"]:
            targets["Rollout", rollout["metadata"]["name"]] = targets[of["kind"], of["name"]]
    for budget in manifests.of("PodDisruptionBudget"):
        if not any(selects(budget["spec"]["selector"], each.pod_labels) for each in targets.values()):
            yield f"{shown(budget)} selects nothing"
        if budget["spec"].get("maxUnavailable") != 1:
            yield f"{shown(budget)} would block a drained node, or allow too much"
    for scaler in manifests.of("HorizontalPodAutoscaler"):
        reference = scaler["spec"]["scaleTargetRef"]
        target = targets.get((reference["kind"], reference["name"]))
        if target is None:
            yield f"{shown(scaler)} scales nothing"
        elif "replicas" in target.spec:
            yield f"{shown(scaler)} and {target} both say how many"


@policy
def what_has_several_pods_has_a_budget_and_is_spread(manifests: Manifests) -> Iterator[str]:
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in manifests.of("HorizontalPodAutoscaler")}
    for workload in manifests.workloads("Deployment", "StatefulSet"):
        if workload.spec.get("replicas", 1) == 1 and workload.name not in scaled:
            continue
        budgets = manifests.of("PodDisruptionBudget")
        if not any(selects(budget["spec"]["selector"], workload.pod_labels) for budget in budgets):
            yield f"{workload} has no PodDisruptionBudget"
        spread = workload.pod.get("topologySpreadConstraints") or workload.pod.get("affinity")
        if not spread:
            yield f"{workload} may have all its pods on one node"


@policy
def services_roll_without_a_gap(manifests: Manifests) -> Iterator[str]:
    for workload in manifests.services():
        rolling = workload.spec["strategy"].get("rollingUpdate", {})
        if rolling.get("maxUnavailable") != 0:
            yield f"{workload}: {rolling}"


@policy
def claims_can_be_applied_again(manifests: Manifests) -> Iterator[str]:
    for workload in manifests.workloads("StatefulSet"):
        for claim in workload.spec.get("volumeClaimTemplates", []):
            if VERSION in claim["metadata"].get("labels", {}):
                yield f"{workload}: a claim cannot be changed, but names a version"
            if not claim["spec"].get("accessModes"):
                yield f"{workload}: a claim without access modes"


@policy
def jobs_make_room_for_their_next_version(manifests: Manifests) -> Iterator[str]:
    for workload in manifests.workloads("Job"):
        if "ttlSecondsAfterFinished" not in workload.spec:
            yield f"{workload}: cannot be changed, and stays"


@policy
def variables_are_defined_before_they_are_used(manifests: Manifests) -> Iterator[str]:
    for workload in manifests.workloads():
        for container in workload.containers:
            known: set[str] = set()
            for source in container.get("envFrom", []):
                known |= set(manifests.config_map(source["configMapRef"]["name"], workload.namespace) or ())
            from_files = set(known)
            listed: set[str] = set()
            for variable in container.get("env", []):
                # Only variables of this very list, and earlier ones, are seen.
                used = set(re.findall(r"\$\((\w+)\)", variable.get("value", "")))
                if used - listed:
                    yield f"{workload}: {variable['name']} uses {sorted(used - listed)}"
                listed.add(variable["name"])
            arguments = " ".join([*container.get("command", []), *container.get("args", [])])
            if missing := set(re.findall(r"\$\((\w+)\)", arguments)) - listed - from_files:
                yield f"{workload}: its arguments use {sorted(missing)}"


@policy
def only_web_is_shown_to_the_world(manifests: Manifests) -> Iterator[str]:
    for each, name in [*_behind_ingresses(manifests), *_behind_routes(manifests)]:
        if name != "web":
            yield f"{each} shows {name}"
    for service in manifests.of("Service"):
        elsewhere = service["spec"].get("externalName", "").endswith(".svc.cluster.local")
        if service["spec"].get("type", "ClusterIP") != ("ExternalName" if elsewhere else "ClusterIP"):
            yield f"{shown(service)} is {service['spec']['type']}"


def _behind_ingresses(manifests: Manifests) -> Iterator[tuple[str, str]]:
    for ingress in manifests.of("Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                yield shown(ingress), path["backend"]["service"]["name"]


def _behind_routes(manifests: Manifests) -> Iterator[tuple[str, str]]:
    for route in manifests.of("HTTPRoute"):
        for rule in route["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                yield shown(route), backend["name"]
