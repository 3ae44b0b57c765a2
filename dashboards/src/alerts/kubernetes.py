"""Alerts that only a cluster can raise; without exporters their series are absent and they say nothing."""

from __future__ import annotations

from dashboards.src.addresses import opening
from dashboards.src.alerts import nodes
from dashcam.slo.rules import Alert, Group

NAMESPACE = 'namespace=~"dashcam|dashcam-agents"'
_CONTAINER = f'{{{NAMESPACE},container!="",container!="POD"}}'

REPLICAS = {
    "deployment": ("kube_deployment_spec_replicas", "kube_deployment_status_replicas_available"),
    "statefulset": ("kube_statefulset_replicas", "kube_statefulset_status_replicas_ready"),
    "daemonset": (
        "kube_daemonset_status_desired_number_scheduled",
        "kube_daemonset_status_number_available",
    ),
}
"""How many pods each kind should have and has."""

_WORKLOAD = '{{ reReplaceAll "(-[0-9a-f]{6,10})?-([a-z0-9]{5}|[0-9]+)$" "" $labels.pod }}'
"""The workload of a pod: its name without the hash and suffix of a Deployment, the number of a StatefulSet.
The container's name would not do: it is `app` in every service."""


def groups() -> list[Group]:
    """The groups of workloads, of what they use, and of nodes with their disks."""
    return [
        Group(
            "kubernetes-workloads", opening("workloads", [*_containers(), *_replicas(), *_pods(), *_jobs()])
        ),
        Group("kubernetes-resources", opening("workloads", _resources())),
        Group("kubernetes-nodes", opening("workloads", nodes.alerts(NAMESPACE))),
    ]


def _containers() -> list[Alert]:
    waiting = f'kube_pod_container_status_waiting_reason{{reason="CrashLoopBackOff",{NAMESPACE}}}'
    killed = f'kube_pod_container_status_last_terminated_reason{{reason="OOMKilled",{NAMESPACE}}}'
    restarts = f"increase(kube_pod_container_status_restarts_total{{{NAMESPACE}}}[15m])"
    # Of a server with workers the kernel may kill one of them alone (control groups of version 1): the
    # container goes on, and its state says nothing.
    inside = f"increase(container_oom_events_total{_CONTAINER}[15m])"
    by = "by (namespace, pod, container)"
    return [
        Alert(
            name="ContainerCrashLooping",
            severity="ticket",
            expr=f"max {by} (max_over_time({waiting}[5m])) == 1",
            hold="2m",
            service=_WORKLOAD,
            summary="Pod {{ $labels.pod }} crashes again each time it is started.",
            description="Kubernetes waits longer and longer before each new attempt.",
        ),
        Alert(
            name="ContainerOutOfMemory",
            severity="ticket",
            expr=(
                f"(\n    max {by} ({killed}) == 1\n  and\n    max {by} ({restarts}) > 0\n)\n"
                f"or\nmax {by} ({inside}) > 0"
            ),
            service=_WORKLOAD,
            summary="In pod {{ $labels.pod }} a container or a process was killed at its memory limit.",
            description="It had used up its limit; the requests that it was answering are lost.",
        ),
    ]


def _replicas() -> list[Alert]:
    missing = "\nor\n".join(
        f"{wanted}{{{NAMESPACE}}}\n> on (namespace, {kind}) {ready}{{{NAMESPACE}}}"
        for kind, (wanted, ready) in REPLICAS.items()
    )
    return [
        Alert(
            name="ReplicasMissing",
            severity="ticket",
            expr=missing,
            hold="10m",
            # One of them; a label that is not there is empty.
            service="".join(f"{{{{ $labels.{kind} }}}}" for kind in REPLICAS),
            summary=(
                f"{''.join(f'{{{{ $labels.{kind} }}}}' for kind in REPLICAS)} has had fewer ready pods than "
                "wanted for ten minutes."
            ),
            description=(
                "A roll-out is stuck, pods fail their readiness check, or the cluster has no room for them."
            ),
        ),
        Alert(
            name="RolloutStuck",
            severity="ticket",
            # ReplicasMissing sees nothing of a version that never gets ready while all old pods go on.
            expr=(
                "max by (namespace, deployment) (kube_deployment_status_condition"
                f'{{condition="Progressing",status="false",{NAMESPACE}}}) == 1'
            ),
            hold="1m",
            service="{{ $labels.deployment }}",
            summary="The roll-out of {{ $labels.deployment }} has made no progress within its time.",
            description="New pods do not get ready; the old ones go on where the strategy keeps them.",
        ),
    ]


def _pods() -> list[Alert]:
    return [
        Alert(
            name="PodStuck",
            severity="ticket",
            expr=(
                f"max by (namespace, pod) "
                f'(kube_pod_status_phase{{phase=~"Pending|Unknown",{NAMESPACE}}}) == 1'
            ),
            hold="15m",
            service=_WORKLOAD,
            summary="Pod {{ $labels.pod }} has not started for a quarter of an hour.",
            description="No node has room for it, its image or a volume cannot be had, or its node is away.",
        ),
        Alert(
            name="AutoscalerAtMaximum",
            severity="ticket",
            expr=(
                f"kube_horizontalpodautoscaler_status_current_replicas{{{NAMESPACE}}}\n"
                f">= on (namespace, horizontalpodautoscaler) "
                f"kube_horizontalpodautoscaler_spec_max_replicas{{{NAMESPACE}}}"
            ),
            hold="30m",
            service="{{ $labels.horizontalpodautoscaler }}",
            summary="{{ $labels.horizontalpodautoscaler }} has had as many pods as allowed for half an hour.",
            description="If the load grows, no pod is added to carry it.",
        ),
    ]


def _jobs() -> list[Alert]:
    by = "by (namespace, job_name)"
    return [
        Alert(
            name="JobFailed",
            severity="ticket",
            expr=f'max by (namespace, job_name) (kube_job_failed{{condition="true",{NAMESPACE}}}) == 1',
            service="{{ $labels.job_name }}",
            summary="Job {{ $labels.job_name }} has failed and is not tried again.",
            description="What it should have done is not done. It is told until the Job is deleted.",
        ),
        Alert(
            name="JobNotEnding",
            severity="ticket",
            expr=(
                f"time() - max {by} (kube_job_status_start_time{{{NAMESPACE}}}) > 2 * 3600\n"
                f"and\nmax {by} (kube_job_status_active{{{NAMESPACE}}}) > 0"
            ),
            service="{{ $labels.job_name }}",
            summary="Job {{ $labels.job_name }} has run for {{ $value | humanizeDuration }}.",
            description="It waits for something that does not come; what it should do is not done.",
        ),
    ]


def _resources() -> list[Alert]:
    # What is its own and cannot be given back: the working set holds file caches too, which programs such as
    # Elasticsearch and Prometheus fill on purpose, and which the kernel takes back before it kills.
    memory = f"max by (namespace, pod, container) (container_memory_rss{_CONTAINER})"
    limit = (
        f"max by (namespace, pod, container) "
        f'(kube_pod_container_resource_limits{{resource="memory",{NAMESPACE}}})'
    )
    throttled = (
        f"sum by (namespace, pod, container) "
        f"(increase(container_cpu_cfs_throttled_periods_total{_CONTAINER}[10m]))"
    )
    periods = (
        f"sum by (namespace, pod, container) (increase(container_cpu_cfs_periods_total{_CONTAINER}[10m]))"
    )
    return [
        Alert(
            name="MemoryNearLimit",
            severity="ticket",
            # Go programs that know their limit use nine tenths of it before they clean up.
            expr=f"{memory}\n/ {limit} > 0.95",
            hold="10m",
            service=_WORKLOAD,
            summary="Pod {{ $labels.pod }} uses {{ $value | humanizePercentage }} of its memory limit.",
            description="At the limit it is killed without warning.",
        ),
        Alert(
            name="CpuThrottled",
            severity="ticket",
            expr=f"{throttled}\n/ {periods} > 0.25",
            hold="15m",
            service=_WORKLOAD,
            summary=(
                "Pod {{ $labels.pod }} is held back in {{ $value | humanizePercentage }} of its CPU periods."
            ),
            description="It wants more CPU than its limit grants; its latency suffers.",
        ),
    ]
