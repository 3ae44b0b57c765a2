"""The cluster's part of the pipeline: Collector, Jaeger, Fluent Bit, Elasticsearch."""

from __future__ import annotations

from dashboards.src.boards import red
from dashboards.src.panels import AMBER, GREEN, RED, PanelBuilder, Query, graph, number

_R = red.RATE


def per_second(by: str, metric: str, select: str = "") -> str:
    """The rate of a counter, summed by labels. `select` is a whole selector or empty."""
    return f"sum by ({by}) (rate({metric}{select}[{_R}]))"


def collector() -> list[PanelBuilder]:
    """What the Collector takes, refuses and passes on."""
    return [
        graph(
            "Spans received",
            "Refused ones: no memory left for more; the sender was told and tries again.",
            "ops",
            Query(per_second("job", "otelcol_receiver_accepted_spans_total"), "{{job}} accepted"),
            Query(per_second("job", "otelcol_receiver_refused_spans_total"), "{{job}} refused"),
        ),
        graph(
            "Spans sent on",
            "Failed ones are lost after the last retry.",
            "ops",
            Query(
                per_second("job, exporter", "otelcol_exporter_sent_spans_total"), "{{job}} {{exporter}} sent"
            ),
            Query(
                per_second("job, exporter", "otelcol_exporter_send_failed_spans_total"),
                "{{job}} {{exporter}} failed",
            ),
            Query(
                per_second("job, exporter", "otelcol_exporter_enqueue_failed_spans_total"),
                "{{job}} {{exporter}} queue full",
            ),
        ),
        graph(
            "Sending queue",
            "Of its capacity, on disk. Filling: what comes after it is slow or away; time until loss.",
            "percentunit",
            Query(
                "max by (job, exporter) (otelcol_exporter_queue_size) "
                "/ max by (job, exporter) (otelcol_exporter_queue_capacity)",
                "{{job}} {{exporter}}",
            ),
            highest=1,
        ),
        graph(
            "Jaeger's storage: requests",
            "By operation and result. Errors: Elasticsearch refuses or is away.",
            "reqps",
            Query(
                per_second("operation, result", "jaeger_storage_requests_total"), "{{operation}} {{result}}"
            ),
        ),
        graph(
            "Jaeger's storage: duration",
            "The mean by operation. Slow writes fill the Collector's queue; for slow reads the UI waits.",
            "s",
            Query(
                # No quantile: the first of its buckets ends at five seconds.
                f"{per_second('operation', 'jaeger_storage_latency_seconds_sum')} "
                f"/ {per_second('operation', 'jaeger_storage_latency_seconds_count')}",
                "{{operation}}",
            ),
        ),
        graph(
            "Memory",
            "Of the Collector and Jaeger. At the memory limiter's bound spans are refused.",
            "bytes",
            Query("otelcol_process_memory_rss_bytes", "{{job}} {{instance}}"),
        ),
    ]


def fluentbit() -> list[PanelBuilder]:
    """What Fluent Bit reads, retries and loses."""
    return [
        graph(
            "Lines read and delivered",
            "Without rows of blanks, which are left out. Read more than delivered: its buffer fills.",
            "cps",
            Query(
                f"sum(rate(fluentbit_input_records_total[{_R}])) "
                f"- sum(rate(fluentbit_filter_drop_records_total[{_R}]))",
                "read",
            ),
            Query(per_second("name", "fluentbit_output_proc_records_total"), "{{name}} delivered"),
        ),
        graph(
            "Lines dropped, chunks given up",
            "Lost for Kibana; perhaps still in the node's files.",
            "cps",
            Query(per_second("name", "fluentbit_output_dropped_records_total"), "{{name}} dropped"),
            Query(per_second("name", "fluentbit_output_retries_failed_total"), "{{name}} given up"),
        ),
        graph(
            "Errors and retries",
            "Retries alone lose nothing: Elasticsearch is slow or restarting. For long: FluentBitRetrying.",
            "ops",
            Query(per_second("name", "fluentbit_output_errors_total"), "{{name}} errors"),
            Query(per_second("name", "fluentbit_output_retries_total"), "{{name}} retries"),
        ),
        graph(
            "Buffer on disk: room left",
            "Of its limit. At none the oldest lines are dropped; FluentBitBufferFilling comes at half.",
            "percent",
            Query(
                "min by (name) (fluentbit_output_chunk_available_capacity_percent)",
                "{{name}}",
            ),
            width=12,
        ),
        graph(
            "Reading paused",
            "1: an input waits, and what the kubelet rotates away meanwhile is lost.",
            "none",
            Query("max by (name) (fluentbit_input_ingestion_paused)", "{{name}} paused"),
            Query("max by (name) (fluentbit_input_storage_overlimit)", "{{name}} over its limit"),
            width=12,
        ),
    ]


def log_agent() -> list[PanelBuilder]:
    """The Collector as log agent, where it is in Fluent Bit's place. Its queues are among those above."""
    return [
        graph(
            "Lines read",
            "From files, by input.",
            "cps",
            Query(
                per_second(
                    "receiver", "otelcol_receiver_accepted_log_records_total", '{receiver=~"file_log.*"}'
                ),
                "{{receiver}}",
            ),
            width=12,
        ),
        graph(
            "Lines stored, tried again, refused",
            "A conflict is a line that an earlier attempt had stored.",
            "cps",
            Query(
                per_second("outcome, error_type", "otelcol_elasticsearch_docs_processed_total"),
                "{{outcome}} {{error_type}}",
            ),
            width=12,
        ),
    ]


def elasticsearch() -> list[PanelBuilder]:
    """Whether Elasticsearch is whole, and has room."""
    return [
        number(
            "Health",
            "Yellow: a copy is missing. Red: data is missing.",
            "none",
            Query(
                'max(elasticsearch_cluster_health_status{color="red"} * 2 '
                'or elasticsearch_cluster_health_status{color="yellow"})',
                "health",
            ),
            steps=((None, GREEN), (1, AMBER), (2, RED)),
            words={"0": ("green", GREEN), "1": ("yellow", AMBER), "2": ("red", RED)},
        ),
        number(
            "Disk left",
            "Below 15 % it takes no new shards, below 5 % it refuses writes.",
            "percentunit",
            Query(
                "min(elasticsearch_filesystem_data_available_bytes / "
                "elasticsearch_filesystem_data_size_bytes)",
                "left",
            ),
            steps=((None, RED), (0.05, AMBER), (0.15, GREEN)),
        ),
        graph(
            "Documents indexed",
            "Spans and lines arriving. Zero with services busy: look upstream.",
            "ops",
            Query(per_second("cluster", "elasticsearch_indices_indexing_index_total"), "{{cluster}}"),
        ),
        graph(
            "Heap",
            "Of its maximum. Above 85 % all the time: too small.",
            "percentunit",
            Query(
                'elasticsearch_jvm_memory_used_bytes{area="heap"} / '
                'elasticsearch_jvm_memory_max_bytes{area="heap"}',
                "{{name}}",
            ),
            highest=1,
        ),
        graph(
            "Rejections",
            "By thread pool. Writes rejected are tried again by their senders, until these run full.",
            "ops",
            Query(per_second("type", "elasticsearch_thread_pool_rejected_count"), "{{type}}"),
            width=24,
            height=6,
        ),
    ]
