"""All services on one page: is anyone being failed, and where to look next."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.src.boards import red
from dashboards.src.boards.page import page, to_objective, to_runbook, to_service
from dashboards.src.panels import (
    AMBER,
    BAD_ABOVE_ZERO,
    BUDGET,
    FAILING,
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
from dashcam.slo.objectives import Objectives
from observability import schema

_UP = f"up and on (job) group by (job) ({schema.SERVER_THREADS.sample})"
"""`up` of what is a service of ours: what tells how many threads it has."""
WANTED = "service:instances_wanted:count"
_HOW = """
**Read from left to right.** Pages firing above zero: people are being failed now, open the alert and its
runbook. All zero but errors visible: within the budget, no hurry. Errors in a service *and* in what it calls:
the cause is the one that calls none of the others; open that service. High saturation with
low errors: the next thing to break. **No data is not healthy**: a service missing from the table cannot be
reached at all.
"""


def build(objectives: Objectives) -> Dashboard:
    """The overview of the services of the catalogue. Jaeger counts its requests under the same metric."""
    ours = f'job=~"{"|".join(objectives.depends_on)}"'
    board = page("overview", "All services", "Rate, errors, duration and error budget of every service.")
    board.with_panel(note("How to read this page", _HOW, width=24, height=4))
    for panel in _numbers(ours):
        board.with_panel(panel)
    board.with_panel(_table(ours))
    board.with_row(row("Rate, errors, duration"))
    for panel in _graphs(ours):
        board.with_panel(panel)
    board.with_row(row("Objectives and dependencies"))
    for panel in _objectives(ours):
        board.with_panel(panel)
    return board.build()


def _numbers(ours: str) -> list[PanelBuilder]:
    # 0 as long as Watchdog fires: without it the rules are not evaluated, and nobody knows.
    watched = 'count(ALERTS{{alertname="Watchdog",alertstate="firing"}})'
    firing = f'count(ALERTS{{{{alertstate="firing",severity="{{}}"}}}}) or 0 * {watched}'
    return [
        number(
            "Pages firing",
            "Above zero, people are being failed now. No data: the rules are not evaluated.",
            "none",
            Query(firing.format("page"), "pages"),
            steps=BAD_ABOVE_ZERO,
        ),
        number(
            "Tickets firing",
            "Above zero, something needs a look today.",
            "none",
            Query(firing.format("ticket"), "tickets"),
            steps=((None, GREEN), (1, AMBER)),
        ),
        number(
            "Instances up",
            "Of the instances that there should be. Below 100 %: see TargetDown and ReplicasMissing.",
            "percentunit",
            Query(f"sum({_UP}) / sum({WANTED})", "up"),
            decimals=0,
            steps=((None, RED), (0.5, AMBER), (1, GREEN)),
        ),
        number(
            "Requests",
            "All requests a second. A sudden fall to zero is a fault in front of the services.",
            "reqps",
            Query(f"sum(rate({red.SERVER.sample}{{{ours}}}[{red.RATE}]))", "requests"),
        ),
        number(
            "Failing requests",
            "The share answered with 500 to 599, of all services.",
            "percentunit",
            Query(_all_errors(ours), "failing"),
            steps=FAILING,
        ),
        number(
            "Least budget left",
            "The objective with the least error budget left. Below zero, a promise is broken.",
            "percentunit",
            Query("min(slo:budget_left:ratio)", "least left"),
            decimals=1,
            steps=BUDGET,
        ),
    ]


def _all_errors(ours: str) -> str:
    every = f"sum(rate({red.SERVER.sample}{{{ours}}}[{red.RATE}]))"
    failed = f"sum(rate({red.SERVER.sample}{{{ours},{red.FAILED}}}[{red.RATE}]))"
    return f"({failed} or 0 * {every}) / ({every} > 0)"


def _table(ours: str) -> PanelBuilder:
    return rows(
        "Services",
        "One line for each service that answers. A service that is missing here is down. Click a name "
        "for its page.",
        "none",
        Query(red.rate("job", ours), "Requests/s"),
        Query(red.error_ratio("job", ours), "Failing"),
        Query(red.quantile(0.5, "job", ours), "p50"),
        Query(red.quantile(0.99, "job", ours), "p99"),
        Query(red.saturation("job"), "Threads busy"),
        Query(f"sum by (job) ({_UP})", "Instances up"),
        Query(f"sum by (job) ({WANTED})", "Wanted"),
        height=6,
        columns={
            "job": Column(label="Service", links=(to_service(),)),
            "Requests/s": Column("reqps", decimals=2),
            "Failing": Column("percentunit", decimals=2, steps=FAILING),
            "p50": Column("s"),
            "p99": Column("s"),
            "Threads busy": Column("percentunit", decimals=0, steps=((None, GREEN), (0.8, RED))),
        },
    )


def _graphs(ours: str) -> list[PanelBuilder]:
    return [
        graph(
            "Requests by service",
            "A step down without a deploy is people giving up, or a fault in front of the services.",
            "reqps",
            Query(red.rate("job", ours), "{{job}}"),
        ),
        graph(
            "Failing requests by service",
            "The share answered with 500 to 599. Several lines rising together share a cause: the last "
            "in the chain.",
            "percentunit",
            Query(red.error_ratio("job", ours), "{{job}}"),
            steps=FAILING,
        ),
        graph(
            "Slowest hundredth (p99)",
            "What the unluckiest in a hundred wait. Whoever calls waits for whom it calls. A "
            "point opens its trace.",
            "s",
            Query(red.quantile(0.99, "job", ours), "{{job}}", exemplars=True),
        ),
        graph(
            "Threads busy",
            "Near 100 % further requests wait where no metric of the service sees them.",
            "percentunit",
            Query(red.saturation("job"), "{{job}}"),
            highest=1,
            steps=((None, GREEN), (0.8, RED)),
        ),
        graph(
            "Error lines",
            "Lines of severity ERROR and above. Lines without failing requests are swallowed failures.",
            "cps",
            Query(
                f"sum by (job) "
                f'(rate({schema.LOG_RECORDS.sample}{{severity=~"ERROR|FATAL"}}[{red.RATE}])) or 0 * sum '
                f"by (job) (rate({schema.LOG_RECORDS.sample}[{red.RATE}]))",
                "{{job}}",
            ),
        ),
        graph(
            "Calls that fail",
            "Who calls whom, and the share without an answer or with one of 500 to 599. Failing calls "
            "to a service that says it is well: the way to it is broken.",
            "percentunit",
            Query(
                red.call_failures("job, server_address, server_port", ours),
                "{{job}} to {{server_address}}:{{server_port}}",
            ),
        ),
    ]


def _objectives(ours: str) -> list[PanelBuilder]:
    return [
        bars(
            "Error budget left",
            "What is left of each objective's budget for the period. Empty: stop risky changes.",
            "percentunit",
            Query("slo:budget_left:ratio", "{{slo}}"),
            width=12,
            decimals=1,
            steps=BUDGET,
        ),
        rows(
            "Firing alerts",
            "What Prometheus holds to be wrong now; Alertmanager decides which of these is told to whom. An "
            "alert opens its runbook, a service its page.",
            "none",
            Query(
                "count by (alertname, severity, service, slo) "
                '(ALERTS{alertstate="firing",severity=~"page|ticket"})',
                "Firing",
            ),
            width=12,
            columns={
                "alertname": Column(label="Alert", links=(to_runbook(),)),
                "service": Column(label="Service", links=(to_service("service"),)),
                "slo": Column(label="Objective", links=(to_objective(),)),
            },
        ),
        rows(
            "Versions",
            "What is running. Two versions of one service at once: a roll-out is under way, or stuck.",
            "none",
            Query(f"count by (job, version, revision) ({schema.BUILD.sample})", "Instances"),
            width=12,
            height=6,
        ),
        graph(
            "Calls between services",
            "Requests a second along each edge. More calls for the same requests: retries, or an N+1.",
            "reqps",
            Query(
                red.rate("job, server_address, server_port", ours, red.CLIENT),
                "{{job}} to {{server_address}}:{{server_port}}",
            ),
            width=12,
            height=6,
        ),
    ]
