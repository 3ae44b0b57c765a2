"""A dashboard's JSON to an HTML body, with the data that Prometheus has now."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import quote

from markdown_it import MarkdownIt

from dashboards.preview import charts, fields, tables
from dashboards.preview.fields import NO_DATA, Panel
from dashcam.slo.durations import seconds
from dashcam.sources import Prometheus, Sample, Series, SourceError

POINTS = 120
EXEMPLARS = 40
"""Points of a chart that open a trace; the highest are what one looks for."""


class PanelFailed(Exception):
    """A query that Prometheus would not or could not answer; the text says which panel and why."""


@dataclass(frozen=True)
class Window:
    """What a dashboard is drawn for: `seconds` up to `end` (Unix seconds), and its template variables.

    `scrape` is the scrape interval; `$__rate_interval` is four of them, or one step and a scrape, as in
    Grafana. `console` is where links to traces and log lines lead.
    """

    end: float
    seconds: float = 900
    variables: Mapping[str, str] | None = None
    scrape: float = 5
    console: str = "http://localhost:16686"

    @property
    def step(self) -> float:
        return max(self.seconds / POINTS, self.scrape)

    @property
    def span(self) -> tuple[float, float]:
        return self.end - self.seconds, self.end

    def fill_in(self, text: str, step: float = 0) -> str:
        """A query or link with its variables replaced, Grafana's own included; `step` where it is longer."""
        step = max(self.step, step)
        values = {
            "__interval": f"{int(step)}s",
            "__rate_interval": f"{int(max(4 * self.scrape, step + self.scrape))}s",
            **(self.variables or {}),
        }
        return re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], found[0]), text)


def render(dashboard: Mapping[str, Any], prometheus: Prometheus, window: Window | None = None) -> str:
    """The HTML body of a dashboard, without <html> or styles (`dashboards/preview/preview.css`).

    A panel whose query fails says so in its place; the others are still drawn. Everything that comes from
    Prometheus is escaped.
    """
    window = window or Window(time.time(), variables=defaults(dashboard))
    marks = _marks(dashboard, prometheus, window)
    parts = [f"<h1>{escape(dashboard['title'])}</h1>", marks, '<div class="grid24">']
    for panel in dashboard["panels"]:
        if panel.get("collapsed"):
            inside = "".join(_panel(each, prometheus, window) for each in panel["panels"])
            parts.append(
                f'<details class="folded"><summary><h2>{escape(panel["title"])}</h2></summary>'
                f'<div class="grid24">{inside}</div></details>'
            )
        elif panel["type"] == "row":
            parts.append(f"<h2>{escape(panel['title'])}</h2>")
        else:
            parts.append(_panel(panel, prometheus, window))
    return "".join([*parts, "</div>"])


def _marks(dashboard: Mapping[str, Any], prometheus: Prometheus, window: Window) -> str:
    """What Grafana draws as lines over all graphs, as sentences: what began in the window, and when."""
    began: dict[str, float] = {}
    for mark in dashboard.get("annotations", {}).get("list", ()):
        if not mark.get("useValueForTime"):
            continue
        query = window.fill_in(mark["expr"])
        try:
            found = prometheus.range(query, *window.span, window.step)
        except SourceError as error:
            return f'<p class="failed">{escape(mark["name"])}: {escape(str(error))}</p>'
        for series in found:
            name = f"{mark['name']}: {_named(mark['titleFormat'], series.labels)}"
            began |= {name: series.points[-1][1] / 1000}
    inside = sorted((at, name) for name, at in began.items() if window.span[0] <= at <= window.end)
    items = "".join(f"<li>{datetime.fromtimestamp(at, UTC):%H:%M:%S} {escape(n)}</li>" for at, n in inside)
    return f'<ul class="marks">{items}</ul>' if items else ""


def defaults(dashboard: Mapping[str, Any]) -> dict[str, str]:
    """The values that the dashboard's variables have when it is opened; "All" is whatever there is."""
    values = {
        variable["name"]: str(variable["current"]["value"]) for variable in dashboard["templating"]["list"]
    }
    return {name: ".*" if value == "$__all" else value for name, value in values.items()}


def _panel(panel: Panel, prometheus: Prometheus, window: Window) -> str:
    width = panel["gridPos"]["w"]
    try:
        body = _DRAWN.get(panel["type"], _elsewhere)(panel, prometheus, window)
    except PanelFailed as error:
        body = f'<p class="failed">{escape(str(error))}</p>'
    description = "" if panel["type"] == "text" else f'<p class="why">{escape(panel["description"])}</p>'
    return (
        f'<section class="panel w{width} {escape(panel["type"])}"><h3>{escape(panel["title"])}</h3>'
        f"{body}{description}</section>"
    )


def _text(panel: Panel, prometheus: Prometheus, window: Window) -> str:
    content: str = MarkdownIt("commonmark", {"html": False}).render(panel["options"]["content"])
    return content


def _timeseries(panel: Panel, prometheus: Prometheus, window: Window) -> str:
    named = _ranges(panel, prometheus, window)
    if not named:
        return _nothing()
    settings = fields.defaults(panel)
    drawing = charts.lines(
        [(fields.series_class(panel, name, n), series) for n, (name, series) in enumerate(named)],
        _area(panel, window, fields.unit(panel)),
        charts.Axis(settings.get("min"), settings.get("max"), fields.limits(panel)),
        settings.get("custom", {}).get("stacking", {}).get("mode") == "normal",
        _exemplars(panel, prometheus, window),
    )
    return drawing + _legend(named, panel)


def _heatmap(panel: Panel, prometheus: Prometheus, window: Window) -> str:
    named = [(name, series) for name, series in _ranges(panel, prometheus, window) if name]
    axis = panel.get("options", {}).get("yAxis", {}).get("unit", "none")
    return charts.cells(named, _area(panel, window, axis)) if named else _nothing()


def _stat(panel: Panel, prometheus: Prometheus, window: Window) -> str:
    settings = fields.defaults(panel)
    return "".join(
        f'<b class="number {fields.colour(settings, sample.value)}">'
        f"{escape(fields.text(settings, sample.value))}</b>"
        for sample in _instants(panel, prometheus, window)[0]
    ) or _nothing("number")


def _bargauge(panel: Panel, prometheus: Prometheus, window: Window) -> str:
    bars = []
    settings, legend = fields.defaults(panel), panel["targets"][0]["legendFormat"]
    for sample in _instants(panel, prometheus, window)[0]:
        shade, width = fields.colour(settings, sample.value), min(max(sample.value, 0), 1) * 100
        bars.append(
            f'<div class="bar"><span>{escape(_named(legend, sample.labels))}</span>'
            f'<i class="{shade}" style="width:{width:.0f}%"></i>'
            f'<b class="number {shade}">{escape(fields.text(settings, sample.value))}</b></div>'
        )
    return "".join(bars) or _nothing()


def _table(panel: Panel, prometheus: Prometheus, window: Window) -> str:
    if "expr" not in panel["targets"][0]:
        return _elsewhere(panel, prometheus, window)
    return tables.table(panel, _instants(panel, prometheus, window), window.console) or _nothing()


def _elsewhere(panel: Panel, prometheus: Prometheus, window: Window) -> str:
    """What Grafana asks of Elasticsearch or Jaeger: the same question in the console."""
    service = quote((window.variables or {}).get("service", ""))
    logs = panel["type"] == "logs"
    # By the tags that Grafana asks Jaeger for; the console takes them as Jaeger does, as JSON.
    pairs = [tag.split("=", 1) for target in panel["targets"] for tag in str(target.get("tags", "")).split()]
    tags = quote(json.dumps(dict(pairs)))
    path = f"/logs?service={service}&level=ERROR" if logs else f"/search?service={service}&tags={tags}"
    name = "log lines" if logs else "traces"
    return f'<p><a href="{escape(window.console + path)}">Open these {name} in the console</a></p>'


_DRAWN = {
    "text": _text,
    "timeseries": _timeseries,
    "heatmap": _heatmap,
    "stat": _stat,
    "bargauge": _bargauge,
    "table": _table,
}


def _ranges(panel: Panel, prometheus: Prometheus, window: Window) -> list[tuple[str, Series]]:
    named = []
    for target in panel["targets"]:
        step = max(window.step, seconds(target.get("interval") or "0s"))
        query = window.fill_in(target["expr"], step)
        series = _ask(
            lambda query=query, step=step: prometheus.range(query, *window.span, step), panel, query
        )
        named += [(_named(target["legendFormat"], one.labels), one) for one in series]
    return named


def _exemplars(panel: Panel, prometheus: Prometheus, window: Window) -> list[charts.Point]:
    """The slowest exemplars of the panel's queries that ask for them, each a link to its trace."""
    found = []
    for target in panel["targets"]:
        if target.get("exemplar"):
            query = window.fill_in(target["expr"])
            found += _ask(lambda query=query: prometheus.exemplars(query, *window.span), panel, query)
    slowest = sorted(found, key=lambda exemplar: -exemplar.value)[:EXEMPLARS]
    return [
        charts.Point(one.time, one.value, f"{window.console}/trace/{quote(one.trace_id)}")
        for one in slowest
        if one.trace_id
    ]


def _instants(panel: Panel, prometheus: Prometheus, window: Window) -> list[list[Sample]]:
    queries = [window.fill_in(target["expr"]) for target in panel["targets"]]
    return [
        _ask(lambda query=query: prometheus.instant(query, window.end), panel, query) for query in queries
    ]


def _ask(question: Any, panel: Panel, query: str) -> Any:
    try:
        return question()
    except SourceError as error:
        raise PanelFailed(f"{panel['title']}: {error} The query: {query}") from error


def _named(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend).strip()


def _area(panel: Panel, window: Window, unit: str) -> charts.Area:
    return charts.Area(panel["gridPos"]["w"] * charts.COLUMN, *window.span, unit)


def _legend(named: list[tuple[str, Series]], panel: Panel) -> str:
    items = []
    for number, (name, series) in enumerate(named):
        shade, style = fields.series_class(panel, name, number)
        last = escape(fields.text(fields.defaults(panel), series.points[-1][1]))
        items.append(
            f'<li><i class="{shade}" style="{style}"></i>{escape(name or "value")} <b>{last}</b></li>'
        )
    return f'<ul class="legend">{"".join(items)}</ul>'


def _nothing(kind: str = "") -> str:
    return f'<p class="nothing {kind}">{NO_DATA}</p>'
