"""The objectives: what is promised, what is left, how fast it is being spent."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.src.boards.page import choice, page, to_objective, to_runbook, to_service
from dashboards.src.panels import BUDGET, GREEN, RED, PanelBuilder, Query, bars, graph, note, row
from dashboards.src.tables import Column, rows
from dashcam.slo import board as board_text
from dashcam.slo.board import CHOSEN
from dashcam.slo.objectives import BurnRate, Objectives


def build(objectives: Objectives) -> Dashboard:
    """The page of the objectives; the factors of the burn rates are those of slos.yaml."""
    about = "Error budgets and burn rates of every objective in services/catalogue.yaml."
    board = page("slo", "Objectives", about, since=objectives.period, refresh="5m")
    board.with_variable(choice("slo", "Objective", "label_values(slo:objective:ratio, slo)", every=".*"))
    board.with_panel(note(board_text.HOW, board_text.how(objectives), height=5))
    board.with_panel(_table(objectives))
    board.with_panel(_left())
    board.with_row(row("How fast the budget is spent"))
    for panel in _burn(objectives):
        board.with_panel(panel)
    board.with_row(row("Events"))
    for panel in _events():
        board.with_panel(panel)
    return board.build()


def _table(objectives: Objectives) -> PanelBuilder:
    keep = "slo, service, sli"
    return rows(
        "Objectives",
        "What is promised and what is left. A missing line: no request has been counted for it. Click an "
        "objective for it alone, a service for its page, a kind for its runbook.",
        "percentunit",
        Query(f"sum by ({keep}) (slo:objective:ratio{CHOSEN})", "Promised"),
        Query(f"1 - sum by ({keep}) (slo:failures:ratio{objectives.period}{CHOSEN})", "Kept"),
        Query(f"sum by ({keep}) (slo:budget_left:ratio{CHOSEN})", "Budget left"),
        Query(f"sum by ({keep}) (slo:failures:increase{objectives.period}{CHOSEN})", "Failures"),
        Query(f"sum by ({keep}) (slo:events:increase{objectives.period}{CHOSEN})", "Events"),
        columns={
            "slo": Column(label="Objective", links=(to_objective(),)),
            "service": Column(label="Service", links=(to_service("service"),)),
            "sli": Column(
                label="Kind", links=(to_runbook("AvailabilityBurnFast"), to_runbook("LatencyBurnFast"))
            ),
            "Promised": Column(decimals=2),
            # One digit more than the promise, or 99.45 % would read as kept.
            "Kept": Column(decimals=3),
            "Budget left": Column(decimals=1, steps=BUDGET),
            "Failures": Column("none", decimals=0),
            "Events": Column("none", decimals=0),
        },
        height=9,
    )


def _left() -> PanelBuilder:
    return bars(
        "Budget left",
        "Below a quarter: slow down. Below zero, in red: the promise of this period is broken.",
        "percentunit",
        Query(f"slo:budget_left:ratio{CHOSEN}", "{{slo}}"),
        width=24,
        height=8,
        decimals=1,
        steps=BUDGET,
    )


def _burn(objectives: Objectives) -> list[PanelBuilder]:
    """A graph for each burn rate, each with its own limit; the budget over time at the end."""
    rates = [(rate, severity) for severity, group in objectives.burn_rates.items() for rate in group]
    return [
        *(_speed(rate, severity) for rate, severity in rates),
        graph(
            "Burn rate over five minutes",
            "Whether it is still going on. Back to zero: the fault is over, whatever the longer windows say.",
            "none",
            Query(f"slo:failures:ratio5m{CHOSEN} / (1 - slo:objective:ratio{CHOSEN})", "{{slo}}"),
            width=12,
            decimals=1,
        ),
        graph(
            f"Budget left of {objectives.period}, over time",
            "A cliff is an incident, a slope is a bug nobody has mended. Below zero the promise is broken.",
            "percentunit",
            Query(f"slo:budget_left:ratio{CHOSEN}", "{{slo}}"),
            width=12,
            lowest=None,
            decimals=1,
            steps=((None, RED), (0, GREEN)),
        ),
    ]


def _speed(rate: BurnRate, severity: str) -> PanelBuilder:
    return graph(
        board_text.speed_title(rate),
        board_text.speed_about(rate, severity),
        "none",
        Query(board_text.speed_query(rate), "{{slo}}"),
        width=12,
        decimals=1,
        steps=board_text.speed_steps(rate, severity),
    )


def _events() -> list[PanelBuilder]:
    return [
        graph(
            "Events in five minutes",
            "What the ratios rest on. With a handful of events a ratio means little.",
            "none",
            Query(f"slo:events:increase5m{CHOSEN}", "{{slo}}"),
            width=12,
        ),
        graph(
            "Failures in five minutes",
            "Bad events: failed, or slower than promised.",
            "none",
            Query(f"slo:failures:increase5m{CHOSEN}", "{{slo}}"),
            width=12,
        ),
    ]
