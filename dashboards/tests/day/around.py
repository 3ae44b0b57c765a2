"""What is watched beside the service: workloads, nodes, the carriers of its telemetry, the watchers.

All of it moves as on any day: a node is started anew in the small hours, a Job runs at night, disks fill and
are cleared, caches and queues follow the traffic, which makes autoscalers add pods.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dashboards.tests.day.messages import messages
from dashboards.tests.day.pods import Job, Pod
from dashboards.tests.day.service import SPANS, Series
from dashboards.tests.day.traffic import MINUTES, Rate, counter, poisson, row

DAY = range(MINUTES)
REBOOT = range(4 * 60 + 10, 4 * 60 + 13)
"""A node is away while it starts with a new kernel."""
CATCHING_UP = 12
"""Minutes that Elasticsearch takes to have its copies of shards again."""
NIGHTLY = Job("jaeger-dependencies", 35, 12)
NODES = "abc"


@dataclass(frozen=True)
class Around:
    """A day of `load` requests a minute.

    `available` of `wanted` pods of car are ready. In the minutes of `away` all is ended and started again;
    Prometheus drops `dropped` notifications by then. `jobs` are made by a deployment.
    """

    load: Rate
    pods: tuple[Pod, ...] = ()
    available: Sequence[int] = (2,) * MINUTES
    wanted: int = 2
    away: range = range(0)
    dropped: Sequence[int | None] = (0,) * MINUTES
    jobs: tuple[Job, ...] = ()

    def series(self) -> Iterator[Series]:
        """The input series of promtool."""
        for each in (*self.pods, NIGHTLY, *self.jobs):
            yield from each.series()
        yield from self._replicas()
        yield from self._autoscaler()
        yield from self._nodes()
        yield from _disks()
        yield from self._collector()
        yield from self._log_agents()
        yield from self._elasticsearch()
        yield from self._watchers()
        yield from self._embedded()
        yield from messages(self.load, _begun(self.away))

    def _replicas(self) -> Iterator[Series]:
        of = ('namespace="dashcam"',)
        car = (*of, 'deployment="car"')
        yield row("kube_deployment_spec_replicas", [self.wanted] * MINUTES, *car)
        yield row("kube_deployment_status_replicas_available", self.available, *car)
        for status, value in (("true", 1), ("false", 0)):
            progress = ('condition="Progressing"', f'status="{status}"')
            yield row("kube_deployment_status_condition", [value] * MINUTES, *car, *progress)
        search = (*of, 'statefulset="elasticsearch"')
        ready = [0 if minute in self.away else 3 - (minute in REBOOT) for minute in DAY]
        yield row("kube_statefulset_replicas", [3] * MINUTES, *search)
        yield row("kube_statefulset_status_replicas_ready", ready, *search)
        agents = ('namespace="dashcam-agents"', 'daemonset="fluent-bit"')
        yield row("kube_daemonset_status_desired_number_scheduled", [3] * MINUTES, *agents)
        yield row("kube_daemonset_status_number_available", ready, *agents)

    def _autoscaler(self) -> Iterator[Series]:
        """As many pods as 700 requests a minute each ask for, and no fewer for five minutes after."""
        asked = [min(6, max(2, math.ceil(self.load(minute) / 700))) for minute in DAY]
        pods = [max(asked[max(0, minute - 5) : minute + 1]) for minute in DAY]
        of = ('namespace="dashcam"', 'horizontalpodautoscaler="car"')
        yield row("kube_horizontalpodautoscaler_status_current_replicas", pods, *of)
        yield row("kube_horizontalpodautoscaler_spec_max_replicas", [6] * MINUTES, *of)

    def _nodes(self) -> Iterator[Series]:
        for name in NODES:
            there = [int(name != "c" or minute not in REBOOT) for minute in DAY]
            ready = ('condition="Ready"', 'status="true"')
            yield row("kube_node_status_condition", there, f'node="{name}"', *ready)
            for job in ("kubelet", "node-exporter"):
                yield row("up", there, f'job="{job}"', f'instance="{name}"')

    def _collector(self) -> Iterator[Series]:
        chance = random.Random("collector")
        of = ('job="collector"', 'instance="collector-0"')
        queue = (*of, 'exporter="otlp/jaeger"')
        spans = [poisson(chance, SPANS * self.load(minute)) for minute in DAY]
        # Of about 500 bytes a span: what comes in half a second, or in a minute while Jaeger is started anew.
        waits = [500 * each * (1 if m in _begun(self.away) else 1 / 120) for m, each in enumerate(spans)]
        yield row("otelcol_exporter_queue_size", [round(each) for each in waits], *queue)
        yield row("otelcol_exporter_queue_capacity", [512 * 2**20] * MINUTES, *queue)
        for name in ("exporter_send_failed", "exporter_enqueue_failed", "receiver_refused"):
            yield row(f"otelcol_{name}_spans_total", [0] * MINUTES, *of)

    def _log_agents(self) -> Iterator[Series]:
        chance = random.Random("agents")
        lines = [poisson(chance, 2 * self.load(minute)) for minute in DAY]
        slow = [int(minute in _begun(REBOOT) or minute in _begun(self.away)) for minute in DAY]
        of = ('job="fluent-bit"', 'instance="a"')
        out, read = 'name="es.0"', 'name="tail.0"'
        yield row("fluentbit_output_retries_total", list(counter(slow)), *of, out)
        for name in ("dropped_records", "retries_failed"):
            yield row(f"fluentbit_output_{name}_total", [0] * MINUTES, *of, out)
        full = [min(40, round(each / 2000)) + 5 * late for each, late in zip(lines, slow, strict=True)]
        left = [100 - each for each in full]
        yield row("fluentbit_output_chunk_available_capacity_percent", left, *of, out)
        waits = [int(minute in _begun(self.away)) for minute in DAY]
        yield row("fluentbit_input_ingestion_paused", waits, *of, read)
        yield row("fluentbit_input_storage_overlimit", [0] * MINUTES, *of, read)
        docs, agent = "otelcol_elasticsearch_docs_processed_total", ('job="log-agent"', 'instance="a"')
        yield row(docs, list(counter(lines)), *agent, 'outcome="success"')
        # What an attempt had stored whose answer was lost.
        again = 'outcome="failed_client",error_type="version_conflict_engine_exception"'
        yield row(docs, list(counter(30 * each for each in slow)), *agent, again)

    def _elasticsearch(self) -> Iterator[Series]:
        of = ('job="elasticsearch-exporter"', 'instance="e"', 'cluster="dashcam"')
        ends = {each.stop for each in (REBOOT, self.away) if each}
        red = set(_begun(self.away))
        yellow = {*REBOOT, *(m for end in ends for m in range(end, end + CATCHING_UP))} - red
        for colour, when in (("red", red), ("yellow", yellow), ("green", set(DAY) - red - yellow)):
            there = [None if minute in self.away else int(minute in when) for minute in DAY]
            yield row("elasticsearch_cluster_health_status", there, *of, f'color="{colour}"')
        yield row("elasticsearch_thread_pool_rejected_count", [0] * MINUTES, *of, 'type="write"')

    def _watchers(self) -> Iterator[Series]:
        prometheus = ('job="prometheus"', 'instance="p"')
        alertmanager = ('job="alertmanager"', 'instance="m"')
        yield row("prometheus_notifications_dropped_total", self.dropped, *prometheus)
        group = 'rule_group="/etc/prometheus/rules/slo.yml;slo"'
        yield row("prometheus_rule_evaluation_failures_total", [0] * MINUTES, *prometheus, group)
        yield row("alertmanager_notifications_failed_total", [0] * MINUTES, *alertmanager)
        for each in (prometheus, alertmanager):
            yield row("up", [1] * MINUTES, *each)
        # Renewed at three in the night, a month before its end.
        left = [(89 if minute >= 3 * 60 else 30) * 86400 for minute in DAY]
        yield row("certmanager_certificate_expiration_timestamp_seconds", left, 'name="elasticsearch"')
        yield row("probe_ssl_earliest_cert_expiry", left, 'job="blackbox-exporter"', 'instance="https://web"')

    def _embedded(self) -> Iterator[Series]:
        chance = random.Random("receiver")
        of = ('job="receiver"', 'instance="r"')
        taken = list(counter(poisson(chance, SPANS * self.load(minute)) for minute in DAY))
        for outcome, values in (("stored", taken), ("refused", [0] * MINUTES)):
            labels = (*of, 'signal="traces"', f'outcome="{outcome}"')
            yield row("dashcam_receiver_records_total", values, *labels)
        yield row("dashcam_store_failures_total", [0] * MINUTES, *of)


def _begun(away: range) -> range:
    """The first minute after it, in which what was away is not ready for all."""
    return range(away.stop, away.stop + 1) if away else away


def _disks() -> Iterator[Series]:
    """A node's disk is filled by images and logs; a volume by indices, the oldest of which goes at two."""
    disk = ('job="node-exporter"', 'instance="a"', 'fstype="ext4"', 'mountpoint="/"')
    claim = ('namespace="dashcam"', 'persistentvolumeclaim="data-elasticsearch-0"')
    of_node = [round(45 - 3 * minute / MINUTES, 3) for minute in DAY]
    since = [(minute - 2 * 60) % MINUTES / MINUTES for minute in DAY]
    of_volume = [round(42 - 10 * part, 3) for part in since]
    for left, (free, size), labels in (
        (of_node, ("node_filesystem_avail_bytes", "node_filesystem_size_bytes"), disk),
        (of_node, ("node_filesystem_files_free", "node_filesystem_files"), disk),
        (of_volume, ("kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes"), claim),
        (of_volume, ("kubelet_volume_stats_inodes_free", "kubelet_volume_stats_inodes"), claim),
    ):
        yield row(free, left, *labels)
        yield row(size, [100] * MINUTES, *labels)
