"""Kibana's saved objects: a data view whose `trace_id` opens the trace, searches, and a dashboard of the log.

One JSON object a line, as `POST /api/saved_objects/_import?overwrite=true` takes it. Ids are fixed, so that
an import over what is there changes it in place. The objects follow the exported form of Kibana 8 and 9.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from dashboards.src.datasources import LOG_INDEX
from dashboards.src.kibana_charts import Chart, lens

CONSOLE = "http://localhost:16686"
"""Where a trace is opened: the console or Jaeger's UI, both through the fixed port of `make port-forward`."""

VIEW = "dashcam-logs"
DASHBOARD = "dashcam-log-dashboard"
TIME = "@timestamp"


@dataclass(frozen=True)
class Search:
    """A saved search: which lines (KQL), and which of their fields are columns."""

    id: str
    title: str
    about: str
    query: str
    columns: tuple[str, ...]


SEARCHES = (
    Search(
        "dashcam-errors",
        "Dashcam: errors",
        "Lines of severity ERROR and FATAL; trace_id opens the trace.",
        "severity: (ERROR or FATAL)",
        ("service", "severity", "message", "exception.type", "trace_id"),
    ),
    Search(
        "dashcam-failed-requests",
        "Dashcam: failed requests",
        "Requests answered with 500 to 599.",
        "http.response.status_code >= 500",
        ("service", "http.request.method", "http.route", "http.response.status_code", "trace_id"),
    ),
    Search(
        "dashcam-slow-requests",
        "Dashcam: slow requests",
        "Requests that took more than half a second.",
        "http.server.request.duration > 0.5",
        ("service", "http.route", "http.server.request.duration", "trace_id"),
    ),
    Search(
        "dashcam-other-containers",
        "Dashcam: lines of other containers",
        "What the rest of the cluster writes.",
        "not service: *",
        ("kubernetes.namespace_name", "kubernetes.pod_name", "message"),
    ),
)


def saved_objects() -> str:
    """Everything as NDJSON: the data view first, for the others refer to it."""
    objects = [_view(), *(_search(search) for search in SEARCHES), _dashboard()]
    return "".join(json.dumps(each, sort_keys=True, ensure_ascii=False) + "\n" for each in objects)


def _object(kind: str, name: str, attributes: dict[str, Any], *references: dict[str, str]) -> dict[str, Any]:
    return {
        "type": kind,
        "id": name,
        "attributes": attributes,
        "references": list(references),
        "coreMigrationVersion": "8.8.0",
    }


def _text(document: Any) -> str:
    """Kibana keeps parts of its objects as JSON within JSON."""
    return json.dumps(document, sort_keys=True)


def _view() -> dict[str, Any]:
    link = {
        "type": "a",
        "urlTemplate": f"{CONSOLE}/trace/{{{{value}}}}",
        "labelTemplate": "{{value}}",
        "openLinkInCurrentTab": False,
    }
    formats = {
        "trace_id": {"id": "url", "params": link},
        "http.server.request.duration": {"id": "number", "params": {"pattern": "0.000"}},
    }
    attributes = {
        "name": "Dashcam: log lines",
        "title": LOG_INDEX,
        "timeFieldName": TIME,
        "fieldFormatMap": _text(formats),
    }
    return _object("index-pattern", VIEW, attributes)


def _search(search: Search) -> dict[str, Any]:
    index = "kibanaSavedObjectMeta.searchSourceJSON.index"
    source = {"query": {"language": "kuery", "query": search.query}, "filter": [], "indexRefName": index}
    attributes = {
        "title": search.title,
        "description": search.about,
        "columns": list(search.columns),
        "sort": [[TIME, "desc"]],
        "kibanaSavedObjectMeta": {"searchSourceJSON": _text(source)},
    }
    return _object("search", search.id, attributes, {"id": VIEW, "name": index, "type": "index-pattern"})


CHARTS = (
    Chart(
        "Lines by severity",
        "Errors rising without failing requests are failures that something swallows.",
        "severity",
    ),
    Chart("Lines by service", "A sudden multiple of one service is a log storm.", "service"),
    Chart(
        "Errors by exception",
        "One kind rising is one bug: open a line below, and its trace.",
        "exception.type",
        SEARCHES[0].query,
    ),
    Chart(
        "Failed requests by route",
        "One route is its code or its dependency; all of them the service.",
        "http.route",
        SEARCHES[1].query,
    ),
)


def _dashboard() -> dict[str, Any]:
    """Four charts, two in a row, over the list of errors."""
    panels = [_chart(number, chart) for number, chart in enumerate(CHARTS)]
    view = [
        {"id": VIEW, "type": "index-pattern", "name": f"{panel['panelIndex']}:{reference['name']}"}
        for panel in panels
        for reference in panel["embeddableConfig"]["attributes"]["references"]
    ]
    last = str(len(CHARTS))
    errors = {
        "type": "search",
        "gridData": {"x": 0, "y": 24, "w": 48, "h": 20, "i": last},
        "panelIndex": last,
        "panelRefName": f"panel_{last}",
        "embeddableConfig": {},
    }
    attributes = {
        "title": "Dashcam: the log",
        "description": "Errors first: which exception, which route, since when; trace_id opens the trace.",
        "panelsJSON": _text([*panels, errors]),
        "optionsJSON": _text({"useMargins": True, "syncColors": True, "syncCursor": True}),
        "timeRestore": True,
        "timeFrom": "now-1h",
        "timeTo": "now",
        "refreshInterval": {"pause": False, "value": 30000},
        "kibanaSavedObjectMeta": {"searchSourceJSON": _text({"query": _KQL_ALL, "filter": []})},
    }
    listed = {"id": SEARCHES[0].id, "type": "search", "name": f"{last}:{errors['panelRefName']}"}
    return _object("dashboard", DASHBOARD, attributes, *view, listed)


_KQL_ALL = {"language": "kuery", "query": ""}


def _chart(number: int, chart: Chart) -> dict[str, Any]:
    grid = {"x": 24 * (number % 2), "y": 12 * (number // 2), "w": 24, "h": 12, "i": str(number)}
    return {
        "type": "lens",
        "gridData": grid,
        "panelIndex": grid["i"],
        "title": chart.title,
        "embeddableConfig": {"attributes": lens(chart, VIEW, TIME)},
    }
