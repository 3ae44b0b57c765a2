"""Panels of the other two signals: log lines from Elasticsearch, traces from Jaeger."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import elasticsearch, logs, table
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from dashboards.src.panels import PanelBuilder

LOGS = models.DataSourceRef("elasticsearch", "${logs}")
TRACES = models.DataSourceRef("jaeger", "${traces}")


def log_lines(title: str, description: str, query: str, *, width: int = 12, height: int = 10) -> PanelBuilder:
    """Log lines from Elasticsearch for a Lucene query; their trace_id opens the trace."""
    target = elasticsearch.Dataquery().query(query).time_field("@timestamp").ref_id("A").datasource(LOGS)
    target.metrics([elasticsearch.Logs().id("1")])
    return (
        logs.Panel()
        .title(title)
        .description(description)
        .datasource(LOGS)
        .unit("none")
        .span(width)
        .height(height)
        .show_time(True)
        .enable_log_details(True)
        .wrap_log_message(True)
        .with_target(target)
    )


class TraceSearch(Builder[Any]):
    """A search in Jaeger. The SDK has no builder for this data source's query, so it is written out."""

    def __init__(self, **query: str | int) -> None:
        self._query = {"refId": "A", "queryType": "search", "datasource": TRACES.to_json(), **query}

    def build(self) -> Any:
        return _Json(self._query)


class _Json:
    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def to_json(self) -> dict[str, Any]:
        return self._document


def trace_search(
    title: str, description: str, *, width: int = 12, height: int = 10, **query: str | int
) -> PanelBuilder:
    """A table of traces found by Jaeger; the id opens the trace."""
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(TRACES)
        .unit("none")
        .span(width)
        .height(height)
        .show_header(True)
        .with_target(TraceSearch(**query))
    )
