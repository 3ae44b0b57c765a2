"""Alerts about the telemetry: what is dropped, and whether the watchers themselves work.

`Watchdog` always fires. Whoever is told of nothing for long knows by its absence that the chain is broken.
"""

from __future__ import annotations

from dashboards.src.counters import grown
from dashboards.src.rules import Alert, Group
from observability import schema

_PROCESSED = schema.SPANS_PROCESSED.sample
_EXPORTED = schema.SPANS_EXPORTED.sample


def groups() -> list[Group]:
    """The groups of the services' own telemetry, of its carriers, and of the watchers."""
    return [
        Group("telemetry-of-services", _services()),
        Group("telemetry-carriers", _carriers()),
        Group("telemetry-watchers", _watchers()),
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
            description="Elasticsearch refused them, or was away for longer than Fluent Bit's buffer lasts.",
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
            summary="Prometheus could not evaluate rules of {{ $labels.rule_group }}.",
            description="Alerts of this group are blind until it is repaired.",
        ),
        Alert(
            name="NotificationsFailing",
            severity="ticket",
            expr=_any("alertmanager_notifications_failed_total", "prometheus_notifications_dropped_total"),
            service="{{ $labels.job }}",
            summary=(
                "{{ $labels.job }} could not deliver {{ $value | humanize }} notifications in ten minutes."
            ),
            description="Someone who should have been told of an alert was not.",
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
