"""`/explore`: any PromQL, as lines over time and as values now, with the exemplars behind them."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from dashcam.console import parameters
from dashcam.console.app import console
from dashcam.console.chart import chart
from dashcam.console.gather import first_error
from dashcam.console.pages.monitor import steps_of

ROWS = 100


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/explore", view_func=explore)


def explore() -> str:
    """The page. Without an expression it offers some to begin with."""
    expression = request.args.get("expr", "").strip()[:4000]
    window = parameters.window(request.args, "30m")
    start, end, step = steps_of(window)
    drawing, values, error = None, [], None
    if expression:
        metrics = console().sources.metrics
        asked = console().gatherer.ask(
            series=lambda: metrics.range(expression, start, end, step),
            values=lambda: metrics.instant(expression, end),
            exemplars=lambda: metrics.exemplars(expression, start, end),
        )
        # Exemplars are an extra: an expression without any must not hide the values.
        error = first_error(asked["values"], asked["series"])
        values = asked["values"].or_else([])
        drawing = chart(asked["series"].or_else([]), start, end, exemplars=asked["exemplars"].or_else([]))
    return render_template(
        "console/explore.html",
        expression=expression,
        window=window,
        lookbacks=parameters.LOOKBACKS,
        error=error,
        drawing=drawing,
        values=values[:ROWS],
        more=max(0, len(values) - ROWS),
        step=step,
    )
