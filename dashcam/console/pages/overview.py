"""`/`: every service at a glance, who calls whom, and what is firing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dashcam.console import parameters, service_health
from dashcam.console.app import console
from dashcam.console.filters import colours
from dashcam.console.gather import Outcome, first_error
from dashcam.console.pages.service import catalogued
from dashcam.console.servicemap import LABEL, NODE_HEIGHT, NODE_WIDTH, draw
from dashcam.sources import Jaeger, SourceError, Trace, TraceQuery

SAMPLE = 20
"""Traces of each service that the map is drawn from."""

SAMPLED_SERVICES = 12
ROWS = 50
"""Services on one page: those that need a person come first, and all are counted."""

WINDOWS = ("1m", "5m", "15m", "1h", "6h", "24h")


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/", view_func=overview)
    blueprint.add_url_rule("/dependencies", view_func=dependencies)


def overview() -> str:
    """The page."""
    window = parameters.window(request.args, "5m")
    sources = console().sources
    asked = console().gatherer.ask(
        **service_health.questions(sources, window),
        calls=lambda: sources.traces.dependencies(window.end, window.end - window.start),
    )
    services = service_health.with_spans(
        service_health.services_of(asked, window), sources, console().gatherer, window
    )
    names = [service.name for service in services]
    wanted = request.args.get("q", "").strip()[:100]
    matching = [service for service in services if wanted.lower() in service.name.lower()]
    pages = max(1, -(-len(matching) // ROWS))
    place = min(parameters.number(request.args, "page", 1, 1, 100_000), pages)
    shown = matching[(place - 1) * ROWS : place * ROWS]
    traces, error = _sample(sources.traces, asked["traced"], names, window)
    rates = {(one.parent, one.child): one.calls / window.seconds for one in asked["calls"].or_else([])}
    drawing = draw(traces, names, rates)
    alerts = [alert for alert in asked["alerts"].or_else([]) if service_health.serious(alert)]
    return render_template(
        "console/overview.html",
        window=window,
        windows=WINDOWS,
        services=services,
        shown=shown,
        matching=len(matching),
        wanted=wanted,
        place=place,
        pages=pages,
        rows=ROWS,
        metrics_error=first_error(asked["rate"], asked["alerts"]),
        traces_error=error,
        map=drawing,
        node=(NODE_WIDTH, NODE_HEIGHT, LABEL),
        states=Counter(service.state for service in services),
        alerts=sorted(alerts, key=service_health.urgency),
        troubled={service.name for service in services if service.state in ("down", "firing", "failing")},
        catalogued=catalogued(),
        colours=colours({service.name for service in shown} | {node.name for node in drawing.nodes}),
        has_budget=any(service.figure("budget") is not None for service in services),
    )


def dependencies() -> Response:
    """Where Jaeger's UI has the graph of services."""
    return redirect(url_for("console.overview") + "#map")


def _sample(
    traces: Jaeger, traced: Outcome, names: Sequence[str], window: parameters.Window
) -> tuple[list[Trace], SourceError | None]:
    """The newest traces of the first of these services that have any, each once."""
    sending = set(traced.or_else([]))
    searches: Mapping[str, Callable[[], list[Trace]]] = {
        f"search{place}": partial(traces.search, TraceQuery(service, window.start, window.end, limit=SAMPLE))
        for place, service in enumerate([name for name in names if name in sending][:SAMPLED_SERVICES])
    }
    found = list(console().gatherer.ask(**searches).values())
    every = {trace.trace_id: trace for one in found for trace in one.or_else([])}
    return list(every.values()), first_error(traced, *found)
