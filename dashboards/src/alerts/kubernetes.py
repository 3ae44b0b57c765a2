"""Alerts that only a cluster can raise; without exporters their series are absent and they say nothing."""

from __future__ import annotations

from dashboards.src.rules import Alert, Group

NAMESPACE = 'namespace="dashcam"'
_CONTAINER = f'{{{NAMESPACE},container!="",container!="POD"}}'

_WORKLOAD = '{{ reReplaceAll "(-[0-9a-f]{6,10})?-([a-z0-9]{5}|[0-9]+)$" "" $labels.pod }}'
"""The workload of a pod: its name without the hash and suffix of a Deployment, the number of a StatefulSet.
The container's name would not do: it is `app` in every service."""


def groups() -> list[Group]:
    """The groups of workloads and of storage and certificates."""
    return [Group("kubernetes-workloads", _workloads()), Group("kubernetes-resources", _resources())]


def _workloads() -> list[Alert]:
    waiting = f'kube_pod_container_status_waiting_reason{{reason="CrashLoopBackOff",{NAMESPACE}}}'
    killed = f'kube_pod_container_status_last_terminated_reason{{reason="OOMKilled",{NAMESPACE}}}'
    restarts = f"increase(kube_pod_container_status_restarts_total{{{NAMESPACE}}}[15m])"
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
            expr=f"max {by} ({killed}) == 1\nand\nmax {by} ({restarts}) > 0",
            service=_WORKLOAD,
            summary="A container of pod {{ $labels.pod }} was killed at its memory limit.",
            description="It had used up its limit; the requests that it was answering are lost.",
        ),
        Alert(
            name="ReplicasMissing",
            severity="ticket",
            expr=(
                f"kube_deployment_spec_replicas{{{NAMESPACE}}}\n"
                f"> on (namespace, deployment) kube_deployment_status_replicas_available{{{NAMESPACE}}}"
            ),
            hold="10m",
            service="{{ $labels.deployment }}",
            summary="{{ $labels.deployment }} has had fewer ready pods than wanted for ten minutes.",
            description=(
                "A roll-out is stuck, pods fail their readiness check, or the cluster has no room for them."
            ),
        ),
    ]


def _resources() -> list[Alert]:
    memory = f"max by (namespace, pod, container) (container_memory_working_set_bytes{_CONTAINER})"
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
    disk = 'node_filesystem_{}_bytes{{fstype!~"tmpfs|overlay|squashfs|ramfs"}}'
    certificate = "(probe_ssl_earliest_cert_expiry or certmanager_certificate_expiration_timestamp_seconds)"
    return [
        Alert(
            name="MemoryNearLimit",
            severity="ticket",
            expr=f"{memory}\n/ {limit} > 0.9",
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
        Alert(
            name="DiskFilling",
            severity="ticket",
            expr=_filling(disk.format("avail"), disk.format("size")),
            hold="10m",
            service="node",
            summary=(
                "{{ $labels.mountpoint }} on {{ $labels.instance }} has {{ $value | humanizePercentage }} "
                "left and is filling up."
            ),
            description="Less than a tenth is free, or less than a third and full within a day at this rate.",
        ),
        Alert(
            name="VolumeFilling",
            severity="ticket",
            expr=_filling(
                f"kubelet_volume_stats_available_bytes{{{NAMESPACE}}}",
                f"kubelet_volume_stats_capacity_bytes{{{NAMESPACE}}}",
            ),
            hold="10m",
            service="{{ $labels.persistentvolumeclaim }}",
            summary=(
                "Volume {{ $labels.persistentvolumeclaim }} has {{ $value | humanizePercentage }} left and "
                "is filling up."
            ),
            description="Less than a tenth is free, or less than a third and full within a day at this rate.",
        ),
        Alert(
            name="CertificateExpiring",
            severity="ticket",
            expr=f"{certificate} - time() < 14 * 86400",
            hold="1h",
            service="certificates",
            summary=(
                "A certificate expires in {{ $value | humanizeDuration }}: {{ $labels.instance }}{{ "
                "$labels.name }}."
            ),
            description="Renewal should have happened by itself by now.",
        ),
    ]


def _filling(free: str, size: str) -> str:
    share = f"{free} / {size}"
    return (
        f"{share} < 0.1\nor\n(\n    {share} < 0.33\n  and\n    predict_linear({free}[6h], 24 * 3600) < 0\n)"
    )
