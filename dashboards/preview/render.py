"""A dashboard's JSON to an HTML body, with the data that Prometheus has now."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import quote

from markdown_it import MarkdownIt

from dashboards.preview import charts
from dashboards.preview.units import shown
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

    def fill_in(self, text: str) -> str:
        """A query or link with its variables replaced, Grafana's own included."""
        values = {
            "__rate_interval": f"{int(max(4 * self.scrape, self.step + self.scrape))}s",
            **(self.variables or {}),
        }
        return re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], found[0]), text)


def render(dashboard: Mapping[str, Any], prometheus: Prometheus, window: Window | None = None) -> str:
    """The HTML body of a dashboard, without <html> or styles (`dashboards/preview/preview.css`).

    A panel whose query fails says so in its place; the others are still drawn. Everything that comes from
    Prometheus is escaped.
    """
    window = window or Window(time.time(), variables=defaults(dashboard))
    parts = [f"<h1>{escape(dashboard['title'])}</h1>", '<div class="grid24">']
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            parts.append(f"<h2>{escape(panel['title'])}</h2>")
        else:
            parts.append(_panel(panel, prometheus, window))
    return "".join([*parts, "</div>"])


def defaults(dashboard: Mapping[str, Any]) -> dict[str, str]:
    """The values that the dashboard's variables have when it is opened."""
    return {
        variable["name"]: str(variable["current"]["value"]) for variable in dashboard["templating"]["list"]
    }


def _panel(panel: Mapping[str, Any], prometheus: Prometheus, window: Window) -> str:
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


def _text(panel: Mapping[str, Any], prometheus: Prometheus, window: Window) -> str:
    content: str = MarkdownIt("commonmark", {"html": False}).render(panel["options"]["content"])
    return content


def _timeseries(panel: Mapping[str, Any], prometheus: Prometheus, window: Window) -> str:
    named = _ranges(panel, prometheus, window)
    if not named:
        return _nothing()
    defaults_ = panel["fieldConfig"]["defaults"]
    stacked = defaults_.get("custom", {}).get("stacking", {}).get("mode") == "normal"
    points = _exemplars(panel, prometheus, window)
    drawing = charts.lines(named, _area(panel, window), defaults_.get("max"), stacked, points)
    return drawing + _legend(named, _unit(panel))


def _heatmap(panel: Mapping[str, Any], prometheus: Prometheus, window: Window) -> str:
    named = [(name, series) for name, series in _ranges(panel, prometheus, window) if name]
    return charts.cells(named, _area(panel, window)) if named else _nothing()


def _stat(panel: Mapping[str, Any], prometheus: Prometheus, window: Window) -> str:
    samples = _instants(panel, prometheus, window)[0]
    numbers = [
        f'<b class="number {_colour(panel, sample.value)}">{escape(shown(sample.value, _unit(panel)))}</b>'
        for sample in samples
    ]
    return "".join(numbers) or _nothing()


def _bargauge(panel: Mapping[str, Any], prometheus: Prometheus, window: Window) -> str:
    bars = []
    legend = panel["targets"][0]["legendFormat"]
    for sample in _instants(panel, prometheus, window)[0]:
        width = min(max(sample.value, 0), 1) * 100
        bars.append(
            f'<div class="bar"><span>{escape(_named(legend, sample.labels))}</span>'
            f'<i class="{_colour(panel, sample.value)}" style="width:{width:.0f}%"></i>'
            f"<b>{escape(shown(sample.value, _unit(panel)))}</b></div>"
        )
    return "".join(bars) or _nothing()


def _table(panel: Mapping[str, Any], prometheus: Prometheus, window: Window) -> str:
    if "expr" not in panel["targets"][0]:
        return _elsewhere(panel, prometheus, window)
    columns = [target["legendFormat"] for target in panel["targets"]]
    units = {
        override["matcher"]["options"]: prop["value"]
        for override in panel["fieldConfig"]["overrides"]
        for prop in override["properties"]
        if prop["id"] == "unit"
    }
    lines: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    for column, samples in zip(columns, _instants(panel, prometheus, window), strict=True):
        for sample in samples:
            key = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "__name__"))
            lines.setdefault(key, {})[column] = shown(sample.value, units.get(column, _unit(panel)))
    if not lines:
        return _nothing()
    labels = sorted({name for key in lines for name, _ in key})
    head = "".join(f"<th>{escape(name)}</th>" for name in [*labels, *columns])
    body = "".join(
        "<tr>"
        + "".join(f"<td>{escape(dict(key).get(name, ''))}</td>" for name in labels)
        + "".join(f'<td class="n">{escape(values.get(name, "—"))}</td>' for name in columns)
        + "</tr>"
        for key, values in sorted(lines.items())
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _elsewhere(panel: Mapping[str, Any], prometheus: Prometheus, window: Window) -> str:
    """What Grafana asks of Elasticsearch or Jaeger: the same question in the console."""
    service = quote((window.variables or {}).get("service", ""))
    logs = panel["type"] == "logs"
    path = (
        f"/logs?service={service}&level=ERROR"
        if logs
        else f'/search?service={service}&tags={{"error":"true"}}'
    )
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


def _ranges(panel: Mapping[str, Any], prometheus: Prometheus, window: Window) -> list[tuple[str, Series]]:
    named = []
    for target in panel["targets"]:
        query = window.fill_in(target["expr"])
        series = _ask(lambda query=query: prometheus.range(query, *window.span, window.step), panel, query)
        named += [(_named(target["legendFormat"], one.labels), one) for one in series]
    return named


def _exemplars(panel: Mapping[str, Any], prometheus: Prometheus, window: Window) -> list[charts.Point]:
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


def _instants(panel: Mapping[str, Any], prometheus: Prometheus, window: Window) -> list[list[Sample]]:
    queries = [window.fill_in(target["expr"]) for target in panel["targets"]]
    return [
        _ask(lambda query=query: prometheus.instant(query, window.end), panel, query) for query in queries
    ]


def _ask(question: Any, panel: Mapping[str, Any], query: str) -> Any:
    try:
        return question()
    except SourceError as error:
        raise PanelFailed(f"{panel['title']}: {error} The query: {query}") from error


def _named(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend).strip()


def _area(panel: Mapping[str, Any], window: Window) -> charts.Area:
    return charts.Area(panel["gridPos"]["w"] * charts.COLUMN, *window.span, _unit(panel))


def _unit(panel: Mapping[str, Any]) -> str:
    return str(panel["fieldConfig"]["defaults"].get("unit", "none"))


def _colour(panel: Mapping[str, Any], value: float) -> str:
    steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
    reached = [step["color"] for step in steps if step.get("value") is None or value >= step["value"]]
    return f"is-{reached[-1]}" if reached else "is-text"


def _legend(named: list[tuple[str, Series]], unit: str) -> str:
    items = [
        f'<li><i class="c{number % charts.COLOURS}"></i>{escape(name or "value")} '
        f"<b>{escape(shown(series.points[-1][1], unit))}</b></li>"
        for number, (name, series) in enumerate(named)
    ]
    return f'<ul class="legend">{"".join(items)}</ul>'


def _nothing() -> str:
    return '<p class="nothing">no data</p>'
