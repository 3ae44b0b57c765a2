"""The objectives: what is promised, what is left, how fast it is being spent."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.src.boards.page import page
from dashboards.src.panels import AMBER, BUDGET, GREEN, RED, PanelBuilder, Query, bars, graph, note, row, rows
from dashboards.src.slos import Objectives


def build(objectives: Objectives) -> Dashboard:
    """The page of the objectives; the factors of the burn rates are those of slos.yaml."""
    board = page("slo", "Objectives", "Error budgets and burn rates of every objective in slos.yaml.")
    board.with_panel(note("How to read this page", _how(objectives), height=5))
    board.with_panel(_table(objectives))
    board.with_panel(_left())
    board.with_row(row("How fast the budget is spent"))
    for panel in _burn(objectives):
        board.with_panel(panel)
    board.with_row(row("Events"))
    for panel in _events():
        board.with_panel(panel)
    return board.build()


def _how(objectives: Objectives) -> str:
    pages = ", ".join(f"{rate.factor:g} times over {rate.long}" for rate in objectives.burn_rates["page"])
    tickets = ", ".join(f"{rate.factor:g} times over {rate.long}" for rate in objectives.burn_rates["ticket"])
    return (
        f"**Burn rate 1 spends the budget exactly in {objectives.period}.** A page is sent at {pages}; "
        f"a ticket at "
        f"{tickets}; both only while the shorter window agrees and with at least "
        f"{objectives.min_failures} failures. "
        "Budget left and burn rate low: change what you like. Budget empty: only repairs, until it "
        "recovers. A burn "
        "rate that jumps at a release is that release. The period is counted over what Prometheus "
        "still holds: on a "
        "laptop that is since it was started. An objective without traffic has no line, which is not "
        "the same as "
        "being well."
    )


def _table(objectives: Objectives) -> PanelBuilder:
    keep = "slo, service, sli"
    return rows(
        "Objectives",
        "What is promised and what is left. A missing line: no request has been counted for it.",
        "percentunit",
        Query(f"sum by ({keep}) (slo:objective:ratio)", "Promised"),
        Query(f"1 - sum by ({keep}) (slo:failures:ratio{objectives.period})", "Kept"),
        Query(f"sum by ({keep}) (slo:budget_left:ratio)", "Budget left"),
        Query(f"sum by ({keep}) (slo:failures:increase{objectives.period})", "Failures"),
        Query(f"sum by ({keep}) (slo:events:increase{objectives.period})", "Events"),
        units={"Failures": "none", "Events": "none"},
        height=9,
    )


def _left() -> PanelBuilder:
    return bars(
        "Budget left",
        "Below a quarter: slow down. Empty: the promise of this period is broken.",
        "percentunit",
        Query("clamp_min(slo:budget_left:ratio, 0)", "{{slo}}"),
        width=24,
        height=8,
        steps=BUDGET,
    )


def _burn(objectives: Objectives) -> list[PanelBuilder]:
    page_at = min(rate.factor for rate in objectives.burn_rates["page"])
    ticket_at = min(rate.factor for rate in objectives.burn_rates["ticket"])
    steps = ((None, GREEN), (ticket_at, AMBER), (page_at, RED))
    burn = "slo:failures:ratio{} / (1 - slo:objective:ratio)"
    return [
        graph(
            "Over the last hour",
            f"Above {page_at:g} for long: a page. A short peak heals by itself.",
            "none",
            Query(burn.format("1h"), "{{slo}}"),
            width=12,
            steps=steps,
        ),
        graph(
            "Over the last five minutes",
            "Whether it is still going on. Back to zero: the fault is over, whatever the hour says.",
            "none",
            Query(burn.format("5m"), "{{slo}}"),
            width=12,
            steps=steps,
        ),
        graph(
            "Over six hours",
            f"Above {page_at:g}: a page; above {ticket_at:g}: on the way to a ticket.",
            "none",
            Query(burn.format("6h"), "{{slo}}"),
            width=12,
            steps=steps,
        ),
        graph(
            "Budget left over time",
            "A cliff is an incident, a slope is a bug nobody has mended.",
            "percentunit",
            Query("slo:budget_left:ratio", "{{slo}}"),
            width=12,
        ),
    ]


def _events() -> list[PanelBuilder]:
    return [
        graph(
            "Events in five minutes",
            "What the ratios rest on. With a handful of events a ratio means little.",
            "none",
            Query("slo:events:increase5m", "{{slo}}"),
            width=12,
        ),
        graph(
            "Failures in five minutes",
            "Bad events: failed, or slower than promised.",
            "none",
            Query("slo:failures:increase5m", "{{slo}}"),
            width=12,
        ),
    ]
