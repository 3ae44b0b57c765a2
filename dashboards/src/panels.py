"""The panels that every dashboard is made of: each has a title, a description, a unit and a data source.

A description says what to conclude, not what is drawn. Queries go through the dashboard's data source
variables, so that one dashboard serves several Prometheus servers.
"""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.builders import bargauge, dashboard, heatmap, stat, table
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import prometheus as prometheus_builders
from grafana_foundation_sdk.builders import text as text_builders
from grafana_foundation_sdk.builders import timeseries as timeseries_builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, prometheus, text
from grafana_foundation_sdk.models import dashboard as models

METRICS = models.DataSourceRef("prometheus", "${metrics}")

PanelBuilder = Builder[models.Panel]

GREEN, AMBER, RED = "green", "orange", "red"


@dataclass(frozen=True)
class Query:
    """One PromQL query of a panel. `legend` names its series, with `{{label}}` for labels."""

    expr: str
    legend: str
    exemplars: bool = False


Steps = tuple[tuple[float | None, str], ...]
"""From which value on which colour; the first starts at None, the bottom."""

PLAIN: Steps = ((None, "text"),)
BAD_ABOVE_ZERO: Steps = ((None, GREEN), (0.000001, RED))
BUDGET: Steps = ((None, RED), (0, AMBER), (0.25, GREEN))


def graph(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int = 8,
    height: int = 8,
    stacked: bool = False,
    highest: float | None = None,
    steps: Steps = (),
) -> PanelBuilder:
    """Lines over time."""
    panel = (
        timeseries_builders.Panel()
        .title(title)
        .description(description)
        .datasource(METRICS)
        .unit(unit)
        .min(0)
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
    if highest is not None:
        panel.max(highest)
    if steps:
        panel.thresholds(_thresholds(steps))
        panel.thresholds_style(
            common_builders.GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.LINE)
        )
    for query in _targets(queries):
        panel.with_target(query)
    return panel


def number(
    title: str, description: str, unit: str, query: Query, *, width: int = 4, steps: Steps = PLAIN
) -> PanelBuilder:
    """One number, or one for each series."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(METRICS)
        .unit(unit)
        .span(width)
        .height(4)
        .no_value("no data")
        .thresholds(_thresholds(steps))
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.AREA)
        .with_target(_target(query, "A"))
    )


def bars(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    width: int = 12,
    height: int = 8,
    steps: Steps = PLAIN,
) -> PanelBuilder:
    """A bar for each series, from 0 to 1."""
    return (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(METRICS)
        .unit(unit)
        .span(width)
        .height(height)
        .min(0)
        .max(1)
        .thresholds(_thresholds(steps))
        .orientation(common.VizOrientation.HORIZONTAL)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(_target(query, "A", instant=True))
    )


def rows(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int = 24,
    height: int = 8,
    units: dict[str, str] | None = None,
    links: dict[str, tuple[str, str]] | None = None,
) -> PanelBuilder:
    """A table with a row for each set of labels, and for each query a column named by its legend.

    The queries must keep the same labels, which is how rows are put together. `units` gives columns a unit
    other than the panel's; `links` gives a column a title and an address.
    """
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(METRICS)
        .unit(unit)
        .span(width)
        .height(height)
        .show_header(True)
    )
    for target in _targets(queries, instant=True, table=True):
        panel.with_target(target)
    if len(queries) > 1:
        panel.with_transformation(models.DataTransformerConfig("merge", options={}))
    values = [f"Value #{_ref(n)}" for n in range(len(queries))] if len(queries) > 1 else ["Value"]
    columns = {value: query.legend for value, query in zip(values, queries, strict=True)}
    hidden = {"Time": True}
    panel.with_transformation(
        models.DataTransformerConfig("organize", options={"excludeByName": hidden, "renameByName": columns})
    )
    for column, other in (units or {}).items():
        panel.override_by_name(column, [models.DynamicConfigValue("unit", other)])
    for column, (name, url) in (links or {}).items():
        panel.override_by_name(column, [models.DynamicConfigValue("links", [{"title": name, "url": url}])])
    return panel


def buckets(title: str, description: str, unit: str, query: Query, *, width: int = 12) -> PanelBuilder:
    """A heatmap of a histogram, with the exemplars that open their trace."""
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(METRICS)
        .unit(unit)
        .span(width)
        .height(8)
        .calculate(False)
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .exemplars_color("rgba(255,0,255,0.7)")
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


def _legend() -> common_builders.VizLegendOptions:
    return (
        common_builders.VizLegendOptions()
        .show_legend(True)
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
    )


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    marks = [models.Threshold(value, color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(marks)


def _ref(position: int) -> str:
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
    return target.instant() if instant else target.range()


def _targets(
    queries: tuple[Query, ...], *, instant: bool = False, table: bool = False
) -> list[prometheus_builders.Dataquery]:
    targets = [_target(query, _ref(position), instant=instant) for position, query in enumerate(queries)]
    return [target.format(prometheus.PromQueryFormat.TABLE) if table else target for target in targets]
