"""Kubernetes: pods, their limits and their volumes, by kube-state-metrics, cAdvisor and the kubelet."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.src.alerts.kubernetes import REPLICAS
from dashboards.src.boards import red
from dashboards.src.boards.page import page
from dashboards.src.panels import (
    AMBER,
    BAD_ABOVE_ZERO,
    GREEN,
    RED,
    PanelBuilder,
    Query,
    bars,
    graph,
    note,
    number,
    row,
)
from dashboards.src.tables import Column, rows

NAMESPACE = 'namespace=~"$namespace"'
POD = f'{{{NAMESPACE},container!="",container!="POD"}}'
_R = red.RATE
_HOW = """
**Pods first, then limits, then disks.** Replicas missing with restarts: the container crashes, read its
last log. Replicas missing without restarts: no room, or not ready because of a dependency. Latency up with
CPU held back: the limit, not the code. This page is empty on a laptop, where nothing runs in Kubernetes.
"""


def build() -> Dashboard:
    """The page of the workloads in the namespace `dashcam`."""
    board = page("workloads", "Kubernetes workloads", "Pods, limits, restarts and volumes of the namespace.")
    board.with_panel(note("How to read this page", _HOW, height=4))
    for title, panels in (
        ("Workloads", _workloads()),
        ("Limits", _limits()),
        ("Network and disks", _disks()),
    ):
        board.with_row(row(title))
        for panel in panels:
            board.with_panel(panel)
    return board.build()


def _workloads() -> list[PanelBuilder]:
    restarts = f"kube_pod_container_status_restarts_total{{{NAMESPACE}}}"
    phase = f"kube_pod_status_phase{{{NAMESPACE}}}"
    crash = f'kube_pod_container_status_waiting_reason{{{NAMESPACE},reason="CrashLoopBackOff"}}'
    return [
        number(
            "Pods crashing",
            "Waiting to be started again after a crash.",
            "none",
            Query(f"count({crash} == 1) or 0 * count({phase})", "crashing"),
            steps=BAD_ABOVE_ZERO,
        ),
        number(
            "Pods not running",
            "Pending or failed. Pending for minutes: no room, see the events.",
            "none",
            Query(
                f'sum(kube_pod_status_phase{{{NAMESPACE},phase=~"Pending|Failed|Unknown"}})',
                "pods",
            ),
            steps=((None, GREEN), (1, AMBER)),
        ),
        rows(
            "Workloads",
            "Wanted against ready, of Deployments, StatefulSets and DaemonSets. Ready below wanted for "
            "long is ReplicasMissing.",
            "none",
            Query(_of_every_kind(0), "Wanted"),
            Query(_of_every_kind(1), "Ready"),
            width=16,
            height=8,
            columns={"workload": Column(label="Workload"), "Ready": Column(decimals=0)},
        ),
        graph(
            "Restarts in a quarter of an hour",
            "Any step is a crash, an eviction or a failed liveness probe; the last log says which.",
            "none",
            Query(f"sum by (pod) (increase({restarts}[15m]))", "{{pod}}"),
            width=12,
        ),
        graph(
            "Autoscaling",
            "Replicas against the most allowed. At the maximum and still slow: raise it, or find what "
            "is slow.",
            "none",
            Query(
                "sum by (horizontalpodautoscaler) "
                f"(kube_horizontalpodautoscaler_status_current_replicas{{{NAMESPACE}}})",
                "{{horizontalpodautoscaler}}",
            ),
            Query(
                "sum by (horizontalpodautoscaler) "
                f"(kube_horizontalpodautoscaler_spec_max_replicas{{{NAMESPACE}}})",
                "{{horizontalpodautoscaler}} maximum",
            ),
            width=12,
        ),
    ]


def _of_every_kind(position: int) -> str:
    """The first or the second number of each kind, by the name of the workload."""
    return " or ".join(
        f"sum by (workload) (label_replace({metrics[position]}{{{NAMESPACE}}}, "
        f'"workload", "{kind}/$1", "{kind}", "(.*)"))'
        for kind, metrics in REPLICAS.items()
    )


def _limits() -> list[PanelBuilder]:
    memory = f"max by (pod) (container_memory_rss{POD})"
    memory_limit = f'max by (pod) (kube_pod_container_resource_limits{{{NAMESPACE},resource="memory"}})'
    cpu = f"sum by (pod) (rate(container_cpu_usage_seconds_total{POD}[{_R}]))"
    cpu_request = f'sum by (pod) (kube_pod_container_resource_requests{{{NAMESPACE},resource="cpu"}})'
    throttled = f"sum by (pod) (rate(container_cpu_cfs_throttled_periods_total{POD}[{_R}]))"
    periods = f"sum by (pod) (rate(container_cpu_cfs_periods_total{POD}[{_R}]))"
    return [
        graph(
            "Memory of the limit",
            "What is its own, without file caches. At 100 % the container is killed; rising without "
            "falling is a leak.",
            "percentunit",
            Query(f"{memory} / {memory_limit}", "{{pod}}"),
            steps=((None, GREEN), (0.9, RED)),
        ),
        graph(
            "CPU of the request",
            "Far above 1: the autoscaler and the scheduler plan with a wrong number.",
            "percentunit",
            Query(f"{cpu} / {cpu_request}", "{{pod}}"),
        ),
        graph(
            "Held back",
            "The share of CPU periods in which it had to wait. It shows as latency.",
            "percentunit",
            Query(f"{throttled} / {periods}", "{{pod}}"),
            highest=1,
            steps=((None, GREEN), (0.25, RED)),
        ),
    ]


def _disks() -> list[PanelBuilder]:
    network = f"sum by (pod) (rate(container_network_{{}}_bytes_total{{{{{NAMESPACE}}}}}[{_R}]))"
    volume = f"kubelet_volume_stats_{{}}_bytes{{{{{NAMESPACE}}}}}"
    disk = 'node_filesystem_{}_bytes{{fstype!~"tmpfs|overlay|squashfs|ramfs"}}'
    return [
        graph(
            "Network in",
            "By pod. Telemetry counts too: compare with the requests.",
            "Bps",
            Query(network.format("receive"), "{{pod}}"),
            width=12,
        ),
        graph(
            "Network out",
            "By pod. A pod that sends much more than it did: larger answers, or more telemetry.",
            "Bps",
            Query(network.format("transmit"), "{{pod}}"),
            width=12,
        ),
        bars(
            "Volumes: space left",
            "Below a tenth: VolumeFilling. Elasticsearch refuses writes before it is full.",
            "percentunit",
            Query(f"{volume.format('available')} / {volume.format('capacity')}", "{{persistentvolumeclaim}}"),
            steps=((None, RED), (0.1, AMBER), (0.33, GREEN)),
        ),
        bars(
            "Nodes: space left",
            "Below a tenth: DiskFilling; the kubelet starts to evict pods soon after.",
            "percentunit",
            Query(f"{disk.format('avail')} / {disk.format('size')}", "{{instance}} {{mountpoint}}"),
            steps=((None, RED), (0.1, AMBER), (0.33, GREEN)),
        ),
    ]
