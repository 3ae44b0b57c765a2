"""The dashboards, one module each. `all_boards()` builds them in the order of their links."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.src.boards import car, orders, overview, pipeline, service, slo, workloads
from dashcam.slo.objectives import Objectives


def all_boards(objectives: Objectives) -> list[Dashboard]:
    """Every dashboard, with panel ids given in order."""
    boards = [
        overview.build(objectives),
        service.build(),
        slo.build(objectives),
        car.build(),
        orders.build(),
        pipeline.build(),
        workloads.build(),
    ]
    for board in boards:
        _number(board)
    return boards


def _number(board: Dashboard) -> None:
    """Links to a panel and repeated panels need ids; the builders leave them out."""
    position = 0
    for panel in board.panels or []:
        for each in (panel, *(getattr(panel, "panels", None) or ())):
            position += 1
            each.id_val = position
