"""`/monitor`: the rate, errors and duration of a service and its routes, and the state of its processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Blueprint, render_template, request

from dashcam.console import parameters, queries
from dashcam.console.app import Console, console
from dashcam.console.chart import Chart, chart
from dashcam.console.gather import Outcome, first_error
from dashcam.sources import Series, SourceError
from observability import schema

AROUND = 10 * 60_000_000
"""Microseconds shown on either side of a moment that a link came from."""

POINTS = 120


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/monitor", view_func=monitor)


@dataclass(frozen=True)
class Panel:
    """One chart to be: its title, the expressions of its lines by name, and how its values read."""

    title: str
    expressions: Mapping[str, str]
    unit: str
    exemplars: str = ""
    at_most: float | None = None


@dataclass(frozen=True)
class Drawn:
    """A panel with its answers."""

    panel: Panel
    chart: Chart
    error: SourceError | None


@dataclass(frozen=True)
class Route:
    """The figures of one route."""

    route: str
    rate: float
    errors: float | None
    p50: float | None
    p95: float | None
    p99: float | None

    @property
    def tag(self) -> str:
        """What picks its spans and its log lines."""
        return parameters.logfmt({"http.route": self.route})


def step_of(window: parameters.Window) -> float:
    """Seconds between two points: about POINTS of them, not finer than a scrape."""
    return max(5.0, window.seconds // POINTS)


def steps_of(window: parameters.Window) -> tuple[float, float, float]:
    """(start, end, step) of a range in seconds, of which the last point is the window's very end."""
    step, end = step_of(window), window.end / 1e6
    return end - window.seconds // step * step, end, step


def red_panels(service: str, route: str, span: float) -> list[Panel]:
    """Rate, errors and duration."""
    picked = queries.of_service(service, route)
    buckets = queries.selector(f"{schema.HTTP_SERVER_DURATION.name}_bucket", *picked)
    quantiles = {f"p{q * 100:.0f}": queries.quantile(q, span, *picked) for q in (0.5, 0.95, 0.99)}
    return [
        Panel(
            "Requests by status",
            {"": queries.requests(span, *picked, by="http_response_status_code")},
            "rate",
        ),
        Panel("Error ratio", {"errors": queries.error_ratio(span, *picked)}, "ratio", at_most=0.01),
        Panel("Duration", quantiles, "seconds", exemplars=buckets),
    ]


def runtime_panels(service: str, span: float) -> list[Panel]:
    """What the service's processes and dependencies are doing."""
    picked = queries.of_service(service)
    client = schema.HTTP_CLIENT_DURATION
    database = schema.DB_CLIENT_DURATION
    return [
        Panel(
            "In flight, of the threads that can answer",
            {
                "in flight": queries.summed(schema.HTTP_SERVER_ACTIVE.name, *picked),
                "threads": queries.summed(schema.SERVER_THREADS.name, *picked),
            },
            "number",
        ),
        Panel(
            "Slowest twentieth of calls to others",
            {
                "HTTP": queries.quantile_of(client, 0.95, span, *picked),
                "database": queries.quantile_of(database, 0.95, span, *picked),
            },
            "seconds",
        ),
        Panel(
            "Log lines by severity",
            {"": queries.rate(schema.LOG_RECORDS.sample, span, *picked, by="severity")},
            "rate",
        ),
        Panel("CPU", {"cores": queries.rate("process_cpu_seconds_total", span, *picked)}, "number"),
        Panel("Memory", {"resident": queries.summed("process_resident_memory_bytes", *picked)}, "size"),
        Panel(
            "Spans that did not get out",
            {"dropped": queries.rate(schema.SPANS_PROCESSED.sample, span, *picked, 'error_type!=""')},
            "rate",
        ),
    ]


def monitor() -> str:
    """The page; without a service it is about the first one that Prometheus knows."""
    prometheus = console().sources.metrics
    known = partial(prometheus.label_values, "job", schema.HTTP_SERVER_DURATION.sample)
    service, route = request.args.get("service", "").strip(), request.args.get("route", "").strip()
    first = console().gatherer.ask(services=known)["services"] if not service else None
    if first and first.value:
        service = first.value[0]
    window = _window()
    span = max(60.0, step_of(window))
    panels = red_panels(service, route, span) + ([] if route else runtime_panels(service, span))
    asked = console().gatherer.ask(
        services=lambda: first.value if first and first.ok else known(),
        **_questions(console(), panels, window),
        **_route_questions(console(), service, window),
    )
    return render_template(
        "console/monitor.html",
        service=service,
        route=route,
        services=asked["services"].or_else([]),
        error=asked["services"].error,
        window=window,
        lookbacks=parameters.LOOKBACKS,
        drawn=[_drawn(number, panel, asked, window) for number, panel in enumerate(panels)],
        routes=_routes(asked),
        step=step_of(window),
    )


def _window() -> parameters.Window:
    """The window asked for, or the time around `at`, which a span's link brings along."""
    at = request.args.get("at", "").strip()
    if at.isascii() and at.isdigit() and len(at) <= 17 and "lookback" not in request.args:
        end = min(parameters.now(), int(at) + AROUND)
        return parameters.Window(min(int(at) - AROUND, end - AROUND), end, "custom")
    return parameters.window(request.args, "15m")


def _questions(
    here: Console, panels: Sequence[Panel], window: parameters.Window
) -> dict[str, Callable[[], Any]]:
    """Each panel's expressions and exemplars as questions, named by the panel's place."""
    start, end, step = steps_of(window)
    found: dict[str, Callable[[], Any]] = {}
    for number, panel in enumerate(panels):
        for line, promql in enumerate(panel.expressions.values()):
            found[f"panel{number}_{line}"] = partial(here.sources.metrics.range, promql, start, end, step)
        if panel.exemplars:
            found[f"exemplars{number}"] = partial(here.sources.metrics.exemplars, panel.exemplars, start, end)
    return found


def _drawn(number: int, panel: Panel, asked: Mapping[str, Outcome], window: parameters.Window) -> Drawn:
    series: list[Series] = []
    names: dict[int, str] = {}
    error: SourceError | None = None
    for line, name in enumerate(panel.expressions):
        outcome = asked[f"panel{number}_{line}"]
        error = error or outcome.error
        for one in outcome.or_else([]):
            if name:
                names[len(series)] = name
            series.append(one)
    exemplars = asked[f"exemplars{number}"].or_else([]) if panel.exemplars else ()
    drawing = chart(
        series,
        window.start / 1e6,
        window.end / 1e6,
        names,
        exemplars,
        panel.at_most,
        STATUS_COLOURS,
        binary=panel.unit == "size",
    )
    return Drawn(panel, drawing, error)


STATUS_COLOURS = {"INFO": 0, "WARN": 9, "ERROR": 6, "FATAL": 6, "errors": 6, "dropped": 6, "DEBUG": 10} | {
    str(status): colour
    for first, colour in ((200, 2), (300, 5), (400, 9), (500, 6))
    for status in range(first, first + 100)
}
"""Colours with a meaning: red for what failed, amber for what was refused."""


ROUTE_SPAN = 600.0
"""Seconds at the end of the window that the figures of routes are about: more would cost Prometheus much."""

ROUTE_FIGURES = ("rate", "errors", "p50", "p95", "p99")


def _route_questions(here: Console, service: str, window: parameters.Window) -> dict[str, Callable[[], Any]]:
    """The figures of every route of a service at the end of the window, as questions."""
    picked, span = queries.of_service(service), min(window.seconds, ROUTE_SPAN)
    expressions = (
        queries.requests(span, *picked, by="http_route"),
        queries.error_ratio(span, *picked, by="http_route"),
        *(queries.quantile(q, span, *picked, by="http_route") for q in (0.5, 0.95, 0.99)),
    )
    return {
        f"route_{name}": partial(here.sources.metrics.instant, promql, window.end / 1e6)
        for name, promql in zip(ROUTE_FIGURES, expressions, strict=True)
    }


def _routes(asked: Mapping[str, Outcome]) -> Outcome:
    """The routes of the service, the busiest first."""
    outcomes = [asked[f"route_{name}"] for name in ROUTE_FIGURES]
    if error := first_error(*outcomes):
        return Outcome(error=error)
    rates, *others = (
        {sample.labels.get("http_route", ""): sample.value for sample in outcome.value}
        for outcome in outcomes
    )
    found = [Route(route, rate, *(figure.get(route) for figure in others)) for route, rate in rates.items()]
    return Outcome(sorted(found, key=lambda route: route.rate, reverse=True))
