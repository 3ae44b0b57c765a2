"""`/`: every service at a glance, who calls whom, and what is firing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from observability import schema
from observability.console import parameters, queries
from observability.console.app import console
from observability.console.filters import colours
from observability.console.gather import Outcome, first_error
from observability.console.servicemap import draw
from observability.sources import Alert, Jaeger, Sample, Series, Trace, TraceQuery

SAMPLE = 40
"""Traces of each service that the map is drawn from."""

SAMPLED_SERVICES = 12
WINDOWS = ("1m", "5m", "15m", "1h", "6h", "24h")
FIGURES = ("rate", "errors", "p50", "p95", "p99", "saturation", "up", "instances", "budget")


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/", view_func=overview)
    blueprint.add_url_rule("/dependencies", view_func=dependencies)


@dataclass(frozen=True)
class Service:
    """One row of the overview. A figure is None where nothing was measured."""

    name: str
    figures: Mapping[str, float]
    version: str
    alerts: Sequence[Alert]
    spark: str

    def figure(self, name: str) -> float | None:
        return self.figures.get(name)

    @property
    def state(self) -> str:
        """`down` where no instance answers a scrape, `firing`, `failing` above 1% of errors, or `ok`."""
        if self.figures.get("up") == 0:
            return "down"
        if any(alert.state == "firing" for alert in self.alerts):
            return "firing"
        return "failing" if self.figures.get("errors", 0.0) > 0.01 else "ok"


def overview() -> str:
    """The page."""
    window = parameters.window(request.args, "5m")
    sources = console().sources
    asked = console().gatherer.ask(
        **_figures(window),
        info=partial(sources.metrics.instant, schema.TARGET.sample),
        alerts=sources.metrics.alerts,
        traced=sources.traces.services,
        sample=partial(_sample, sources.traces, window),
        calls=lambda: sources.traces.dependencies(window.end, window.end - window.start),
    )
    services = _services(asked, window)
    traces: list[Trace] = asked["sample"].or_else([])
    rates = {(one.parent, one.child): one.calls / window.seconds for one in asked["calls"].or_else([])}
    drawing = draw(traces, asked["traced"].or_else([]), rates)
    return render_template(
        "console/overview.html",
        window=window,
        windows=WINDOWS,
        services=services,
        metrics_error=first_error(asked["rate"], asked["alerts"]),
        traces_error=first_error(asked["sample"], asked["traced"]),
        map=drawing,
        alerts=sorted(asked["alerts"].or_else([]), key=lambda alert: (alert.state != "firing", alert.name)),
        colours=colours({service.name for service in services} | {node.name for node in drawing.nodes}),
        has_budget=any(service.figure("budget") is not None for service in services),
    )


def dependencies() -> Response:
    """Where Jaeger's UI has the graph of services."""
    return redirect(url_for("console.overview") + "#map")


def _figures(window: parameters.Window) -> dict[str, Callable[[], list[Any]]]:
    metrics, span = console().sources.metrics, max(60.0, window.seconds)
    expressions = {
        "rate": queries.requests(span),
        "errors": queries.error_ratio(span),
        "p50": queries.quantile(0.5, span),
        "p95": queries.quantile(0.95, span),
        "p99": queries.quantile(0.99, span),
        "saturation": queries.saturation(),
        "up": "sum by (job) (up)",
        "instances": "count by (job) (up)",
        "budget": f"min by (service) ({queries.SLO_BUDGET})",
    }
    found: dict[str, Callable[[], list[Any]]] = {
        name: partial(metrics.instant, promql, window.end / 1e6) for name, promql in expressions.items()
    }
    step = max(5.0, window.seconds // 30)
    found["spark"] = partial(
        metrics.range, queries.requests(max(60.0, step)), window.start / 1e6, window.end / 1e6, step
    )
    return found


def _sample(traces: Jaeger, window: parameters.Window) -> list[Trace]:
    """The newest traces of each service, each once."""
    found: dict[str, Trace] = {}
    for service in traces.services()[:SAMPLED_SERVICES]:
        query = TraceQuery(service, window.start, window.end, limit=SAMPLE)
        found |= {trace.trace_id: trace for trace in traces.search(query)}
    return list(found.values())


def _services(asked: Mapping[str, Outcome], window: parameters.Window) -> list[Service]:
    """A row for each service that serves requests or sends spans, the busiest first."""
    figures = {name: _by_service(asked[name].or_else([])) for name in FIGURES}
    versions = {
        sample.labels.get("job", ""): sample.labels.get("service_version", "")
        for sample in asked["info"].or_else([])
    }
    alerts: list[Alert] = asked["alerts"].or_else([])
    sparks = {series.labels.get("job", ""): _spark(series, window) for series in asked["spark"].or_else([])}
    names = set(versions) | set(figures["rate"]) | set(asked["traced"].or_else([]))
    rows = [
        Service(
            name=name,
            figures={figure: values[name] for figure, values in figures.items() if name in values},
            version=versions.get(name, ""),
            alerts=[
                alert for alert in alerts if name in (alert.labels.get("service"), alert.labels.get("job"))
            ],
            spark=sparks.get(name, ""),
        )
        for name in names
        if name
    ]
    return sorted(rows, key=lambda row: (-(row.figure("rate") or 0.0), row.name))


def _by_service(samples: Sequence[Sample]) -> dict[str, float]:
    """By service; what is not a number was not measured."""
    found = {sample.labels.get("job") or sample.labels.get("service", ""): sample.value for sample in samples}
    return {name: value for name, value in found.items() if value == value}


def _spark(series: Series, window: parameters.Window) -> str:
    """The points of a line 100 wide and 24 high."""
    values = [(time, value) for time, value in series.points if value == value]
    if len(values) < 2:
        return ""
    top = max(value for _, value in values) or 1.0
    start, length = window.start / 1e6, window.seconds
    return " ".join(
        f"{(time - start) / length * 100:.1f},{23 - value / top * 21:.1f}" for time, value in values
    )
