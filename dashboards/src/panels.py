"""The panels that every dashboard is made of: each has a title, a description, a unit and a data source.

A description says what to conclude, not what is drawn. Queries go through the dashboard's data source
variables, so that one dashboard serves several Prometheus servers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import bargauge, dashboard, heatmap, stat
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import prometheus as prometheus_builders
from grafana_foundation_sdk.builders import text as text_builders
from grafana_foundation_sdk.builders import timeseries as timeseries_builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, prometheus, text
from grafana_foundation_sdk.models import dashboard as models

from dashboards.src import colours
from dashboards.src.colours import BAD, GOOD, QUIET, WARN

METRICS = models.DataSourceRef("prometheus", "${metrics}")

PanelBuilder = Builder[models.Panel]

GREEN, AMBER, RED = GOOD, WARN, BAD
NO_DATA = "no data"
OBJECTIVE = "objective"
"""A graph draws a series whose name begins like this as a broken red line: what was promised."""


@dataclass(frozen=True)
class Query:
    """One PromQL query of a panel. `legend` names its series, with `{{label}}` for labels."""

    expr: str
    legend: str
    exemplars: bool = False
    least: str = ""
    """No shorter step than this, such as `1m`: for a query that counts what happened in one step."""


Steps = tuple[tuple[float | None, str], ...]
"""From which value on which colour; the first starts at None, the bottom."""

PLAIN: Steps = ((None, "text"),)
BAD_ABOVE_ZERO: Steps = ((None, GREEN), (0.000001, RED))
BUDGET: Steps = ((None, RED), (0, AMBER), (0.25, GREEN))
FAILING: Steps = ((None, GREEN), (0.001, AMBER), (0.01, RED))

Link = tuple[str, str]
"""The title and the address of a link."""


def graph(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int = 8,
    height: int = 8,
    stacked: bool = False,
    lowest: float | None = 0,
    highest: float | None = None,
    decimals: int | None = None,
    steps: Steps = (),
) -> PanelBuilder:
    """Lines over time. `lowest` is where the axis begins; None for what may be negative."""
    panel = (
        timeseries_builders.Panel()
        .title(title)
        .description(description)
        .datasource(METRICS)
        .unit(unit)
        .span(width)
        .height(height)
        .line_width(1)
        .fill_opacity(20 if stacked else 5)
        .show_points(common.VisibilityMode.NEVER)
        .legend(_legend())
        .tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
    )
    if stacked:
        panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
    if lowest is not None:
        panel.min(lowest)
    if highest is not None:
        panel.max(highest)
    if decimals is not None:
        panel.decimals(decimals)
    if steps:
        panel.thresholds(coloured(steps))
        panel.thresholds_style(
            common_builders.GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.LINE)
        )
    for query in asked(queries):
        panel.with_target(query)
    for pattern, properties in _lines(queries).items():
        panel.override_by_regexp(pattern, [models.DynamicConfigValue(*each) for each in properties.items()])
    return panel


_DIGITS = {"percentunit": 2, "reqps": 2, "none": 0, "s": 1}
"""After the point, by a number's unit. Left to itself, Grafana shows as many as the value happens to have."""


def number(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    width: int = 4,
    decimals: int | None = None,
    steps: Steps = PLAIN,
    words: Mapping[str, tuple[str, str]] | None = None,
    links: Iterable[Link] = (),
) -> PanelBuilder:
    """One number, or one for each series; `words` says instead of a value its text and colour."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(METRICS)
        .unit(unit)
        .span(width)
        .height(4)
        .no_value(NO_DATA)
        .mappings([*no_data(), *_said(words or {})])
        .thresholds(coloured(steps))
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.NONE)
        # A range would keep its last value for as long as the page shows, when nothing comes any more.
        .with_target(_target(query, "A", instant=True))
        .decimals(_DIGITS[unit] if decimals is None else decimals)
    )
    if links:
        panel.links([dashboard.DashboardLink(title).url(url) for title, url in links])
    return panel


def bars(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    width: int = 12,
    height: int = 8,
    decimals: int | None = None,
    steps: Steps = PLAIN,
    links: Iterable[Link] = (),
) -> PanelBuilder:
    """A bar for each series, from 0 to 1; what is outside has an empty or a full bar and its own number."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(METRICS)
        .unit(unit)
        .span(width)
        .height(height)
        .min(0)
        .max(1)
        .no_value(NO_DATA)
        .mappings(no_data())
        .thresholds(coloured(steps))
        .orientation(common.VizOrientation.HORIZONTAL)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(_target(query, "A", instant=True))
        .decimals(_DIGITS[unit] if decimals is None else decimals)
    )
    if links:
        panel.data_links([dashboard.DashboardLink(title).url(url) for title, url in links])
    return panel


def buckets(title: str, description: str, unit: str, query: Query, *, width: int = 12) -> PanelBuilder:
    """A heatmap of a histogram: its buckets in `unit` upwards, in each cell how often.

    The query counts what happened in one step, so that no event is in two cells.
    """
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(METRICS)
        .unit("none")  # of the cells, whatever the axis has
        .decimals(0)
        .span(width)
        .height(8)
        .calculate(False)
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .cell_values(heatmap.CellValues().unit("none").decimals(0))
        .show_legend()
        .show_tooltip()
        .show_y_histogram()
        .with_target(_target(query, "A").format(prometheus.PromQueryFormat.HEATMAP))
    )


def note(title: str, markdown: str, *, width: int = 24, height: int = 4) -> PanelBuilder:
    """Text that says how to read the page."""
    return (
        text_builders.Panel()
        .title(title)
        .description("How to read this page.")
        .span(width)
        .height(height)
        .mode(text.TextMode.MARKDOWN)
        .content(markdown)
    )


def row(title: str) -> dashboard.Row:
    """A heading that opens a part of the page."""
    return dashboard.Row(title)


def folded(title: str, panels: Iterable[PanelBuilder]) -> dashboard.Row:
    """A heading with panels that are shown, and asked for, when someone opens it."""
    heading = dashboard.Row(title)
    for panel in panels:
        heading.with_panel(panel)
    return heading


def _legend() -> common_builders.VizLegendOptions:
    return (
        common_builders.VizLegendOptions()
        .show_legend(True)
        .display_mode(common.LegendDisplayMode.TABLE)
        .placement(common.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max"])
    )


def _lines(queries: Iterable[Query]) -> dict[str, dict[str, Any]]:
    """How the series of a graph are drawn, by a pattern of their names."""
    drawn: dict[str, dict[str, Any]] = {}
    for query in queries:
        if query.legend.startswith(OBJECTIVE):
            drawn[f"/^{OBJECTIVE}/"] = {
                "color": {"mode": "fixed", "fixedColor": RED},
                "custom.lineStyle": {"fill": "dash", "dash": [10, 10]},
                "custom.fillOpacity": 0,
            }
        for meaning in colours.of(query.legend):
            mode = "shades" if meaning.shades else "fixed"
            drawn[f"/(^| )({meaning.pattern})$/"] = {"color": {"mode": mode, "fixedColor": meaning.colour}}
    return drawn


def no_data() -> list[models.ValueMapping]:
    """No data is not well: it has its own words and the colour of neither good nor bad."""
    result = models.ValueMappingResult(text=NO_DATA, color=QUIET, index=0)
    options = models.DashboardSpecialValueMapOptions(models.SpecialValueMatch.NULL_AND_NAN, result)
    return [models.SpecialValueMap(options)]


def _said(words: Mapping[str, tuple[str, str]]) -> list[models.ValueMapping]:
    if not words:
        return []
    options = {
        value: models.ValueMappingResult(text=text, color=colour, index=position)
        for position, (value, (text, colour)) in enumerate(words.items(), start=1)
    }
    return [models.ValueMap(options)]


def coloured(steps: Steps) -> dashboard.ThresholdsConfig:
    """The steps as Grafana's thresholds."""
    marks = [models.Threshold(value, color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(marks)


def ref(position: int) -> str:
    """The name of the query at `position`."""
    return chr(ord("A") + position)


def _target(query: Query, ref: str, *, instant: bool = False) -> prometheus_builders.Dataquery:
    target = (
        prometheus_builders.Dataquery()
        .expr(query.expr)
        .legend_format(query.legend)
        .ref_id(ref)
        .datasource(METRICS)
        .exemplar(query.exemplars)
    )
    if query.least:
        target.interval(query.least)
    return target.instant() if instant else target.range()


def asked(
    queries: tuple[Query, ...], *, instant: bool = False, table: bool = False
) -> list[prometheus_builders.Dataquery]:
    """The queries as Grafana has them."""
    targets = [_target(query, ref(position), instant=instant) for position, query in enumerate(queries)]
    return [target.format(prometheus.PromQueryFormat.TABLE) if table else target for target in targets]
