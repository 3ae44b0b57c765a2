"""One service, chosen by a variable: rate, errors, duration, saturation, dependencies, logs, runtime."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models

from dashboards.src.boards import red
from dashboards.src.boards.page import EVERY, choice, page
from dashboards.src.evidence import log_lines, trace_search
from dashboards.src.panels import (
    FAILING,
    GREEN,
    OBJECTIVE,
    RED,
    PanelBuilder,
    Query,
    buckets,
    graph,
    note,
    row,
)
from dashboards.src.tables import Column, rows
from observability import schema

SERVICE = 'job="$service"'
THIS = f'{SERVICE},instance=~"$instance"'
PROCESS = "{{instance}} {{worker}}"
"""One line for each worker process: with WEB_CONCURRENCY above 1 the runtime's series have that label."""
_HOW = """
**Errors first**, then duration, then what it depends on. Failing routes with failing calls below: the
dependency is the patient. Slow routes with quick calls and busy threads: the service itself. Slow routes,
idle threads, slow database: the statement, in any of the traces. Click a point on *Duration* to
open a request as slow as that; the broken line is what was promised.
"""


def build() -> models.Dashboard:
    """The page of one service."""
    board = page("service", "One service", "Everything about one service.", logs=True, traces=True)
    build_info = schema.BUILD.sample
    for variable in (
        choice("service", "Service", f"label_values({schema.SERVER_THREADS.sample}, job)", first="car"),
        choice("version", "Version", f"label_values({build_info}{{{SERVICE}}}, version)", every=EVERY),
        # "All" are those of the chosen version, each by its name.
        choice(
            "instance",
            "Instance",
            f'label_values({build_info}{{{SERVICE},version=~"$version"}}, instance)',
        ),
    ):
        board.with_variable(variable)
    board.with_panel(note("How to read this page", _HOW, height=4))
    for title, panels in (
        ("Requests", _requests()),
        ("Saturation", _saturation()),
        ("Dependencies", _dependencies()),
        ("Logs and traces", _logs()),
        ("Runtime", _runtime()),
    ):
        board.with_row(row(title))
        for panel in panels:
            board.with_panel(panel)
    return board.build()


def _requests() -> list[PanelBuilder]:
    route = 'http_route!=""'
    return [
        graph(
            "Requests by route",
            "One route rising alone is one client, or a loop.",
            "reqps",
            Query(red.rate("http_route", f"{THIS},{route}"), "{{http_route}}"),
            stacked=True,
        ),
        graph(
            "Failing requests by route",
            "The share answered with 500 to 599. One route: look at its code or its dependency. All: "
            "the service itself.",
            "percentunit",
            Query(red.error_ratio("http_route", THIS), "{{http_route}}"),
            steps=FAILING,
        ),
        graph(
            "Answers by status",
            "4xx are the callers' mistakes: a rise after a release of a caller is its bug.",
            "reqps",
            Query(red.rate("http_response_status_code", THIS), "{{http_response_status_code}}"),
            stacked=True,
        ),
        buckets(
            "Durations",
            "Every request by how long it took. Two bands: two kinds of request, or a cache that is "
            "missed. A cell says how many requests ended in its step.",
            "s",
            Query(
                f"sum by (le) (increase({red.SERVER.name}_bucket{{{THIS}}}[{red.STEP}]))",
                "{{le}}",
                least="1m",
            ),
            width=12,
        ),
        graph(
            "Duration",
            "p50 is everybody, p99 the unluckiest. Only p99 rising: a lock, a retry or one slow input. "
            "Both: load.",
            "s",
            Query(red.quantile(0.5, "job", THIS), "p50"),
            Query(red.quantile(0.95, "job", THIS), "p95"),
            Query(red.quantile(0.99, "job", THIS), "p99", exemplars=True),
            Query('slo:threshold:seconds{service="$service"}', f"{OBJECTIVE} {{{{slo}}}}"),
            width=12,
        ),
        rows(
            "Routes",
            "The routes side by side; sort by p99 to find what to speed up, by Failing to find what to mend.",
            "none",
            Query(red.rate("http_route", THIS), "Requests/s"),
            Query(red.error_ratio("http_route", THIS), "Failing"),
            Query(red.quantile(0.5, "http_route", THIS), "p50"),
            Query(red.quantile(0.99, "http_route", THIS), "p99"),
            columns={
                "http_route": Column(label="Route"),
                "Requests/s": Column("reqps", decimals=2),
                "Failing": Column("percentunit", decimals=2, steps=FAILING),
                "p50": Column("s"),
                "p99": Column("s"),
            },
        ),
    ]


def _saturation() -> list[PanelBuilder]:
    return [
        graph(
            "Threads busy",
            "Near 100 % requests queue outside the service, and callers measure more than it does.",
            "percentunit",
            Query(red.saturation("instance", THIS), "{{instance}}"),
            highest=1,
            steps=((None, GREEN), (0.8, RED)),
        ),
        graph(
            "CPU",
            "Cores used by each process. One at 100 % of a core is at the interpreter's limit: more "
            "workers, not more threads.",
            "none",
            Query(f"rate(process_cpu_seconds_total{{{THIS}}}[{red.RATE}])", PROCESS),
        ),
        graph(
            "Memory",
            "Resident memory of each process. A saw-tooth is garbage; a line that only rises is a leak.",
            "bytes",
            Query(f"process_resident_memory_bytes{{{THIS}}}", PROCESS),
        ),
        graph(
            "Requests in flight",
            "How many are being answered at once. Rising at a steady rate of requests: each takes longer.",
            "none",
            Query(f"sum by (instance) ({schema.HTTP_SERVER_ACTIVE.sample}{{{THIS}}})", "{{instance}}"),
        ),
        graph(
            "Open files",
            "Of the limit. A steady rise is a connection that nobody closes.",
            "percentunit",
            Query(f"process_open_fds{{{THIS}}} / process_max_fds{{{THIS}}}", PROCESS),
            highest=1,
        ),
        graph(
            "Time since start",
            "A fall to zero is a restart; of one worker alone: it died and was replaced. Falls that "
            "repeat are a crash loop.",
            "s",
            Query(f"time() - process_start_time_seconds{{{THIS}}}", PROCESS),
        ),
    ]


def _dependencies() -> list[PanelBuilder]:
    edge = "server_address, server_port"
    legend = "{{server_address}}:{{server_port}}"
    return [
        graph(
            "Calls",
            "Outgoing requests. More calls for the same requests: retries.",
            "reqps",
            Query(red.rate(edge, THIS, red.CLIENT), legend),
        ),
        graph(
            "Calls that fail",
            "Without an answer, or with one of 500 to 599.",
            "percentunit",
            Query(red.call_failures(edge, THIS), legend),
            steps=((None, GREEN), (0.01, RED)),
        ),
        graph(
            "Duration of calls (p99)",
            "Compare with the callee's own p99: the difference is waiting for it, or the network.",
            "s",
            Query(red.quantile(0.99, edge, THIS, red.CLIENT), legend),
        ),
        graph(
            "Database operations",
            "By verb and table. Many for each request are an N+1 query.",
            "ops",
            Query(
                red.rate("db_operation_name, db_collection_name", THIS, schema.DB_CLIENT_DURATION),
                "{{db_operation_name}} {{db_collection_name}}",
            ),
        ),
        graph(
            "Dependencies up",
            "0: the service's own readiness check fails, it gets no traffic in a cluster.",
            "none",
            Query(f"min by (dependency) ({schema.DEPENDENCY_UP.sample}{{{THIS}}})", "{{dependency}}"),
            highest=1,
        ),
        graph(
            "Circuits open",
            "1: calls to it are refused because it kept failing; what needs it is answered with 503.",
            "none",
            Query(f"max by (dependency) ({schema.CIRCUIT_OPEN.sample}{{{THIS}}})", "{{dependency}}"),
            highest=1,
        ),
    ]


def _logs() -> list[PanelBuilder]:
    return [
        graph(
            "Log lines by severity",
            "Errors rising with no failing requests are failures that something swallows.",
            "cps",
            Query(
                f"sum by (severity) (rate({schema.LOG_RECORDS.sample}{{{THIS}}}[{red.RATE}]))", "{{severity}}"
            ),
            width=24,
            height=6,
            stacked=True,
        ),
        log_lines(
            "Errors in the log",
            "The latest. A line's trace_id opens its trace.",
            'service:"$service" AND severity:(ERROR OR FATAL)',
        ),
        trace_search(
            "Failing traces",
            "The latest requests to this service that it failed; the id opens the trace, its spans open "
            "their log lines. What it was refused by others (a 404, a 422) is no failure.",
            service="$service",
            # Of a server's span: a client's is an error by the conventions from 400 on.
            tags="error=true span.kind=server",
            limit=20,
        ),
    ]


def _runtime() -> list[PanelBuilder]:
    return [
        graph(
            "Garbage collections",
            "By generation. Many of generation 2 cost CPU: many long-lived objects are made for each "
            "request.",
            "ops",
            Query(
                f"sum by (generation) (rate(python_gc_collections_total{{{THIS}}}[{red.RATE}]))",
                "generation {{generation}}",
            ),
            width=12,
        ),
        rows(
            "Python",
            "The interpreter of each process. Different ones at once: an image was built differently.",
            "none",
            Query(f"count by (job, implementation, version) (python_info{{{THIS}}})", "Processes"),
            width=12,
        ),
    ]
