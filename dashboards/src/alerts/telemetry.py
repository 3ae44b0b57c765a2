"""Alerts about the telemetry: what is dropped, and whether the watchers themselves work.

`Watchdog` always fires. Whoever is told of nothing for long knows by its absence that the chain is broken.
"""

from __future__ import annotations

from dashboards.src.addresses import opening
from dashboards.src.counters import grown
from dashcam.slo.rules import Alert, Group
from observability import schema

_PROCESSED = schema.SPANS_PROCESSED.sample
_EXPORTED = schema.SPANS_EXPORTED.sample
_REFUSED_LINES = (
    'otelcol_elasticsearch_docs_processed_total{outcome="failed_client",'
    'error_type!~"|version_conflict_engine_exception"}'
)
"""Not those that were stored by an earlier attempt, nor whole requests, which are made again."""


def groups() -> list[Group]:
    """The groups of the services' own telemetry, of its carriers, and of the watchers."""
    return [
        Group("telemetry-of-services", opening("pipeline", _services())),
        Group("telemetry-carriers", opening("pipeline", _carriers())),
        Group("telemetry-watchers", opening("pipeline", _watchers())),
    ]


def _any(*losses: str, by: str = "job") -> str:
    """Whether one of the counters grew within ten minutes: a single loss is worth knowing."""
    return "\nor\n".join(f"sum by ({by}) ({grown(loss, '10m')}) > 0" for loss in losses)


def _services() -> list[Alert]:
    return [
        Alert(
            name="SpansDropped",
            severity="ticket",
            expr=_any(f'{_PROCESSED}{{error_type!=""}}'),
            service="{{ $labels.job }}",
            summary="{{ $labels.job }} dropped {{ $value | humanize }} spans in ten minutes.",
            description="Its export queue was full or already closed: traces of this time have holes.",
        ),
        Alert(
            name="SpanExportFailing",
            severity="ticket",
            expr=(
                f"""sum by (job) ({grown(f'{_EXPORTED}{{error_type!=""}}', "5m")})\n"""
                f"/ sum by (job) ({grown(_EXPORTED, '5m')}) > 0.05"
            ),
            hold="2m",
            service="{{ $labels.job }}",
            summary=(
                "{{ $value | humanizePercentage }} of the spans of {{ $labels.job }} could not be delivered."
            ),
            description=(
                "The OTLP endpoint refuses them or does not answer; what cannot be delivered is lost."
            ),
        ),
        Alert(
            name="SpanQueueFilling",
            severity="ticket",
            expr=(
                f"max by (job, instance) ({schema.SPAN_QUEUE_SIZE.sample})\n"
                f"/ min by (job, instance) ({schema.SPAN_QUEUE_CAPACITY.sample} > 0) > 0.8"
            ),
            hold="1m",
            service="{{ $labels.job }}",
            summary=(
                "The span queue of {{ $labels.job }} on {{ $labels.instance }} is "
                "{{ $value | humanizePercentage }} full."
            ),
            description="Spans come faster than they are taken; when the queue is full they are dropped.",
        ),
        Alert(
            name="LogLinesLost",
            severity="ticket",
            expr=_any(schema.LOG_RECORDS_LOST.sample),
            service="{{ $labels.job }}",
            summary="{{ $labels.job }} could not write {{ $value | humanize }} log lines in ten minutes.",
            description=(
                "Its standard output is closed or its disk is full; the service goes on without those lines."
            ),
        ),
    ]


def _carriers() -> list[Alert]:
    collector = _any(
        *(
            f"otelcol_{name}_spans_total"
            for name in ("exporter_send_failed", "exporter_enqueue_failed", "receiver_refused")
        )
    )
    fluentbit = _any(*(f"fluentbit_output_{name}_total" for name in ("dropped_records", "retries_failed")))
    return [
        Alert(
            name="BackendRefusingTelemetry",
            severity="ticket",
            expr=_any('dashcam_receiver_records_total{outcome="refused"}', "dashcam_store_failures_total"),
            service="{{ $labels.job }}",
            summary="The embedded backend refused or lost telemetry {{ $value | humanize }} times.",
            description="Its queue or its disk is full: it takes what fits one machine, then says so.",
        ),
        Alert(
            name="CollectorLosingSpans",
            severity="ticket",
            expr=collector,
            service="{{ $labels.job }}",
            summary="{{ $labels.job }} lost or refused {{ $value | humanize }} spans in ten minutes.",
            description="The Collector, or Jaeger behind it, cannot pass on what it is given.",
        ),
        Alert(
            name="FluentBitLosingLines",
            severity="ticket",
            expr=fluentbit,
            service="{{ $labels.job }}",
            summary="Fluent Bit gave up on {{ $value | humanize }} records or chunks in ten minutes.",
            description="Elasticsearch was away for longer than Fluent Bit's buffer on disk lasts.",
        ),
        Alert(
            name="FluentBitRetrying",
            severity="ticket",
            expr=_any("fluentbit_output_retries_total", by="job, name"),
            hold="30m",
            service="{{ $labels.job }}",
            summary="Fluent Bit has sent lines of {{ $labels.name }} again and again for half an hour.",
            description=(
                "Elasticsearch is away or refuses them, or one bulk that it never takes is tried for ever."
            ),
        ),
        Alert(
            name="FluentBitBufferFilling",
            severity="ticket",
            expr=(
                "max by (job, name) (fluentbit_input_ingestion_paused) > 0\nor\n"
                "max by (job, name) (fluentbit_input_storage_overlimit) > 0\nor\n"
                "min by (job, name) (fluentbit_output_chunk_available_capacity_percent) < 50"
            ),
            hold="1m",
            service="{{ $labels.job }}",
            summary="Fluent Bit's buffer for {{ $labels.name }} is half full, or it reads no more.",
            description=(
                "Full, it drops its oldest lines; an input that pauses loses what the kubelet rotates away."
            ),
        ),
        Alert(
            name="LogAgentLosingLines",
            severity="ticket",
            expr=_any(_REFUSED_LINES),
            service="{{ $labels.job }}",
            summary="Elasticsearch refused {{ $value | humanize }} log lines of {{ $labels.job }} for good.",
            description="Neither the index nor its failure store can hold them; they are not tried again.",
        ),
        Alert(
            name="CollectorQueueFilling",
            severity="ticket",
            expr=(
                "max by (job, exporter) (otelcol_exporter_queue_size)\n"
                "/ max by (job, exporter) (otelcol_exporter_queue_capacity > 0) > 0.5"
            ),
            hold="1m",
            service="{{ $labels.job }}",
            summary=(
                "The queue {{ $labels.exporter }} of {{ $labels.job }} is "
                "{{ $value | humanizePercentage }} full."
            ),
            description=(
                "What comes after it is slow or away. Full, a gateway drops spans, a log agent reads no more."
            ),
        ),
        Alert(
            name="ElasticsearchRed",
            severity="ticket",
            expr='max by (job, cluster) (elasticsearch_cluster_health_status{color="red"}) == 1',
            hold="2m",
            service="{{ $labels.job }}",
            summary="Elasticsearch is red: traces and logs are partly unreadable and may be refused.",
            description="At least one primary shard is missing. Metrics and alerts do not depend on it.",
        ),
        Alert(
            name="ElasticsearchYellow",
            severity="ticket",
            expr='max by (job, cluster) (elasticsearch_cluster_health_status{color="yellow"}) == 1',
            # A node that restarts makes it yellow for as long as its copies take.
            hold="30m",
            service="{{ $labels.job }}",
            summary="Elasticsearch has been yellow for half an hour: copies of shards are missing.",
            description="Everything can be read and written; if one more node goes, some of it cannot.",
        ),
        Alert(
            name="ElasticsearchRejectingWrites",
            severity="ticket",
            expr=_any('elasticsearch_thread_pool_rejected_count{type="write"}', by="job, cluster"),
            service="{{ $labels.job }}",
            summary="Elasticsearch rejected {{ $value | humanize }} write requests in ten minutes.",
            description=(
                "Its write queue is full: it is too small, too slow, or short of disk for this much "
                "telemetry."
            ),
        ),
    ]


def _watchers() -> list[Alert]:
    return [
        Alert(
            name="RuleEvaluationFailing",
            severity="ticket",
            expr=_any("prometheus_rule_evaluation_failures_total", by="job, rule_group"),
            service="{{ $labels.job }}",
            # Without the path of the file that the group stands in.
            summary='Prometheus could not evaluate rules of {{ reReplaceAll ".*;" "" $labels.rule_group }}.',
            description="Alerts of this group are blind until it is repaired.",
        ),
        Alert(
            name="NotificationsFailing",
            severity="ticket",
            expr=_any("alertmanager_notifications_failed_total"),
            service="{{ $labels.job }}",
            summary="Alertmanager could not deliver {{ $value | humanize }} notifications in ten minutes.",
            description="Someone who should have been told of an alert was not.",
        ),
        Alert(
            name="AlertmanagerUnreachable",
            severity="ticket",
            # Prometheus tells again every minute, so what it drops while Alertmanager restarts, or ends with
            # it, is not lost: only dropping that lasts is.
            expr="sum by (job) (increase(prometheus_notifications_dropped_total[5m])) > 0",
            hold="10m",
            service="{{ $labels.job }}",
            summary="Prometheus has not reached Alertmanager for a quarter of an hour.",
            description="Nobody is told of any alert.",
        ),
        Alert(
            name="Watchdog",
            severity="none",
            expr="vector(1)",
            service="prometheus",
            summary="This alert always fires.",
            description=(
                "It proves that Prometheus evaluates, Alertmanager routes and the receiver hears. Its "
                "absence is the alarm."
            ),
        ),
    ]
