"""The telemetry's own health: whether what the other pages show is all there is."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.src.boards import carriers, red
from dashboards.src.boards.carriers import per_second
from dashboards.src.boards.page import page
from dashboards.src.counters import grown
from dashboards.src.panels import (
    BAD_ABOVE_ZERO,
    GREEN,
    RED,
    PanelBuilder,
    Query,
    folded,
    graph,
    note,
    number,
    row,
)
from observability import schema

_HOW = """
**Anything dropped means that absence proves nothing** for that time: a trace that is missing may have been
dropped. Read from top to bottom, the way a span and a line travel: where the number that goes in is larger
than the one that goes out, or a queue only fills, that is the place. What runs only in a cluster (the
Collector, Jaeger, Fluent Bit, Elasticsearch) or only on a laptop (the embedded backend) is folded: open the
parts that you have.
"""
_R = red.RATE


def build() -> Dashboard:
    """The page of the telemetry pipeline."""
    board = page(
        "pipeline", "Telemetry pipeline", "Spans, lines and samples from the services to their stores."
    )
    board.with_panel(note("How to read this page", _HOW, height=4))
    for title, panels in (("In the services", _services()), ("Prometheus and Alertmanager", _prometheus())):
        board.with_row(row(title))
        for panel in panels:
            board.with_panel(panel)
    for title, panels in (
        ("Collector and Jaeger (cluster)", carriers.collector()),
        ("Fluent Bit (cluster)", carriers.fluentbit()),
        ("Collector as log agent (cluster)", carriers.log_agent()),
        ("Elasticsearch (cluster)", carriers.elasticsearch()),
        ("Embedded backend (laptop)", _embedded()),
    ):
        board.with_row(folded(title, panels))
    return board.build()


def _services() -> list[PanelBuilder]:
    processed, exported = schema.SPANS_PROCESSED.sample, schema.SPANS_EXPORTED.sample
    lost = schema.LOG_RECORDS_LOST.sample
    return [
        number(
            "Spans dropped in an hour",
            "Above zero, traces of that time have holes.",
            "none",
            Query(
                f"""sum({grown(f'{processed}{{error_type!=""}}', "1h")}) or 0 * sum({processed})""", "dropped"
            ),
            steps=BAD_ABOVE_ZERO,
        ),
        number(
            "Log lines lost in an hour",
            "Above zero, lines could not be written to standard output.",
            "none",
            Query(f"sum({grown(lost, '1h')}) or 0 * sum({schema.LOG_RECORDS.sample})", "lost"),
            steps=BAD_ABOVE_ZERO,
        ),
        graph(
            "Span queue",
            "Of its capacity. Full: the next span is dropped. See how long exports take.",
            "percentunit",
            Query(
                f"max by (job) ({schema.SPAN_QUEUE_SIZE.sample}) "
                f"/ min by (job) ({schema.SPAN_QUEUE_CAPACITY.sample} > 0)",
                "{{job}}",
            ),
            highest=1,
            steps=((None, GREEN), (0.8, RED)),
        ),
        graph(
            "Spans exported",
            "By outcome; an error names what kept them from arriving.",
            "ops",
            Query(per_second("job, error_type", exported), "{{job}} {{error_type}}"),
            stacked=True,
        ),
        graph(
            "Duration of exports (p99)",
            "Long ones fill the queue: the endpoint is slow.",
            "s",
            Query(red.quantile(0.99, "job", "", schema.EXPORT_DURATION), "{{job}}"),
            width=12,
        ),
        graph(
            "Log lines written",
            "By severity. A sudden multiple is a log storm, and what fills disks.",
            "cps",
            Query(per_second("job, severity", schema.LOG_RECORDS.sample), "{{job}} {{severity}}"),
            width=12,
        ),
    ]


def _embedded() -> list[PanelBuilder]:
    return [
        graph(
            "Taken in",
            "Spans and lines by what became of them. `refused` is past its bound; senders try again.",
            "cps",
            Query(per_second("signal, outcome", "dashcam_receiver_records_total"), "{{signal}} {{outcome}}"),
        ),
        graph(
            "Queue before the store",
            "Of its capacity. Full: new telemetry is refused.",
            "percentunit",
            Query("dashcam_receiver_queue_records / dashcam_receiver_queue_capacity_records", "queue"),
            highest=1,
        ),
        graph(
            "Store",
            "Bytes used of the bound. At the bound the oldest is deleted, which is how it is meant.",
            "bytes",
            Query("dashcam_store_used_bytes", "used"),
            Query("dashcam_store_limit_bytes", "bound"),
        ),
    ]


def _prometheus() -> list[PanelBuilder]:
    return [
        graph(
            "Targets",
            "Up and known. A difference is TargetDown.",
            "none",
            Query("sum by (job) (up)", "{{job}} up"),
            Query("count by (job) (up)", "{{job}} known"),
        ),
        graph(
            "Series",
            "In memory. A jump is a label whose values explode: see the samples by job.",
            "none",
            Query("prometheus_tsdb_head_series", "series"),
        ),
        graph(
            "Samples by job",
            "Taken in at each scrape. The job that jumps has the label.",
            "none",
            Query("sum by (job) (scrape_samples_scraped)", "{{job}}"),
        ),
        graph(
            "Duration of scrapes",
            "Near the scrape's time limit, samples start to be missing.",
            "s",
            Query("max by (job) (scrape_duration_seconds)", "{{job}}"),
        ),
        graph(
            "Evaluation of rules",
            "Of the time between two evaluations. Near 1, alerts come late.",
            "percentunit",
            Query(
                # Without the path of the file that the group stands in.
                "max by (group) (label_replace(prometheus_rule_group_last_duration_seconds "
                '/ prometheus_rule_group_interval_seconds, "group", "$1", "rule_group", ".*;(.*)"))',
                "{{group}}",
            ),
        ),
        graph(
            "Notifications",
            "Sent to Alertmanager, and by it to receivers. Failures: NotificationsFailing.",
            "ops",
            Query(per_second("job", "prometheus_notifications_sent_total"), "{{job}} to Alertmanager"),
            Query(per_second("integration", "alertmanager_notifications_total"), "{{integration}}"),
            Query(
                per_second("integration", "alertmanager_notifications_failed_total"), "{{integration}} failed"
            ),
        ),
        graph(
            "Exemplars kept",
            "Points that open a trace. Zero with traffic: exemplar storage is off.",
            "ops",
            Query(f"rate(prometheus_tsdb_exemplar_exemplars_appended_total[{_R}])", "exemplars"),
            width=12,
        ),
        number(
            "Alertmanagers known",
            "Zero: nobody is told of anything.",
            "none",
            Query("prometheus_notifications_alertmanagers_discovered", "known"),
            width=12,
            steps=((None, RED), (1, GREEN)),
        ),
    ]
