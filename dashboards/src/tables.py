"""Tables: a row for each set of labels, a column for each query."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from dashboards.src.panels import (
    METRICS,
    NO_DATA,
    Link,
    PanelBuilder,
    Query,
    Steps,
    asked,
    coloured,
    no_data,
    ref,
)


@dataclass(frozen=True)
class Column:
    """How a column of a table is shown, where it differs from the panel."""

    unit: str = ""
    decimals: int | None = None
    steps: Steps = ()
    links: tuple[Link, ...] = ()
    label: str = ""

    def properties(self) -> Iterable[models.DynamicConfigValue]:
        """Grafana's settings of the column."""
        set_to: dict[str, Any] = {
            "displayName": self.label,
            "unit": self.unit,
            "decimals": self.decimals,
            "links": [{"title": title, "url": url} for title, url in self.links],
        }
        if self.steps:
            set_to["thresholds"] = _json(coloured(self.steps).build())
            set_to["custom.cellOptions"] = {"type": "color-text"}
        for name, value in set_to.items():
            if value not in ("", None, []):
                yield models.DynamicConfigValue(name, value)


def rows(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int = 24,
    height: int = 8,
    columns: Mapping[str, Column] | None = None,
) -> PanelBuilder:
    """A table with a row for each set of labels, and for each query a column named by its legend.

    The queries must keep the same labels, which is how rows are put together. `columns` says how some are
    shown, by legend or label.
    """
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(METRICS)
        .unit(unit)
        .span(width)
        .height(height)
        .no_value(NO_DATA)
        .mappings(no_data())
        .show_header(True)
    )
    for target in asked(queries, instant=True, table=True):
        panel.with_target(target)
    if len(queries) > 1:
        panel.with_transformation(models.DataTransformerConfig("merge", options={}))
    values = [f"Value #{ref(n)}" for n in range(len(queries))] if len(queries) > 1 else ["Value"]
    names = {value: query.legend for value, query in zip(values, queries, strict=True)}
    hidden = {"Time": True}
    panel.with_transformation(
        models.DataTransformerConfig("organize", options={"excludeByName": hidden, "renameByName": names})
    )
    for name, column in (columns or {}).items():
        panel.override_by_name(name, list(column.properties()))
    return panel


def _json(part: Any) -> Any:
    return json.loads(json.dumps(part, cls=JSONEncoder))
