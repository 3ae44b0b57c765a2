"""Grafana's data sources with fixed uids, and the ways from one signal to the other two.

exemplar -> trace (Prometheus), trace -> logs and metrics (Jaeger), log line -> trace (Elasticsearch).
A `$` of Grafana's own is doubled: a single one would be read from the environment while provisioning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from observability import schema


@dataclass(frozen=True)
class Source:
    """A data source: its fixed uid is what dashboards and links name."""

    uid: str
    name: str
    type: str
    url: str


PROMETHEUS = Source("prometheus", "Prometheus", "prometheus", "http://prometheus:9090")
JAEGER = Source("jaeger", "Jaeger", "jaeger", "http://jaeger:16686")
ELASTICSEARCH = Source("elasticsearch", "Elasticsearch", "elasticsearch", "$ELASTICSEARCH_URL")
"""Its address and user differ from cluster to cluster: Grafana reads them from its environment."""

ALERTMANAGER = Source("alertmanager", "Alertmanager", "alertmanager", "http://alertmanager:9093")

LOG_INDEX = "logs-dashcam-*"
"""The data streams that Fluent Bit writes; Kibana's data view is over the same."""

EXEMPLAR_LABEL = "trace_id"
LOG_TRACE_FIELD = "trace_id"


def provisioning() -> dict[str, Any]:
    """provisioning/datasources/*.yaml."""
    return {
        "apiVersion": 1,
        "prune": True,
        "datasources": [_prometheus(), _jaeger(), _elasticsearch(), _alertmanager()],
    }


def dashboard_provider() -> dict[str, Any]:
    """provisioning/dashboards/*.yaml: all JSON files of one folder, not editable in place."""
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": "dashcam",
                "folder": "Dashcam",
                "type": "file",
                "disableDeletion": True,
                "allowUiUpdates": False,
                "options": {"path": "/var/lib/grafana/dashboards"},
            }
        ],
    }


def _source(source: Source, json_data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "name": source.name,
        "uid": source.uid,
        "type": source.type,
        "access": "proxy",
        "url": source.url,
        "editable": False,
        **more,
        "jsonData": json_data,
    }


def _prometheus() -> dict[str, Any]:
    exemplar = {"name": EXEMPLAR_LABEL, "datasourceUid": JAEGER.uid, "urlDisplayLabel": "Open the trace"}
    return _source(
        PROMETHEUS,
        {
            "httpMethod": "POST",
            "prometheusType": "Prometheus",
            "timeInterval": "15s",
            "manageAlerts": True,
            "alertmanagerUid": ALERTMANAGER.uid,
            "exemplarTraceIdDestinations": [exemplar],
        },
        isDefault=True,
    )


def _jaeger() -> dict[str, Any]:
    requests = schema.HTTP_SERVER_DURATION.sample
    return _source(
        JAEGER,
        {
            "nodeGraph": {"enabled": True},
            "traceIdTimeParams": {"enabled": False},
            # A span's line is written when the request ends, and clocks differ: hence the wider window.
            "tracesToLogsV2": {
                "datasourceUid": ELASTICSEARCH.uid,
                "spanStartTimeShift": "-5m",
                "spanEndTimeShift": "5m",
                "filterByTraceID": False,
                "filterBySpanID": False,
                "customQuery": True,
                "query": f'{LOG_TRACE_FIELD}:"$${{__trace.traceId}}"',
            },
            "tracesToMetrics": {
                "datasourceUid": PROMETHEUS.uid,
                "spanStartTimeShift": "-15m",
                "spanEndTimeShift": "15m",
                "tags": [{"key": "service.name", "value": "job"}],
                "queries": [
                    {
                        "name": "Requests a second",
                        "query": f"sum by (http_route) (rate({requests}{{$$__tags}}[5m]))",
                    },
                    {
                        "name": "p99",
                        "query": "histogram_quantile(0.99, sum by (le) (rate("
                        f"{schema.HTTP_SERVER_DURATION.name}_bucket{{$$__tags}}[5m])))",
                    },
                ],
            },
        },
    )


def _elasticsearch() -> dict[str, Any]:
    link = {
        "field": LOG_TRACE_FIELD,
        "url": "$${__value.raw}",
        "urlDisplayLabel": "Open the trace",
        "datasourceUid": JAEGER.uid,
    }
    correlation = {
        "targetUID": JAEGER.uid,
        "label": "Trace",
        "description": "The trace of this line.",
        "type": "query",
        "config": {"field": LOG_TRACE_FIELD, "target": {"query": "$${__value.raw}"}},
    }
    return _source(
        ELASTICSEARCH,
        {
            "index": LOG_INDEX,
            "timeField": "@timestamp",
            "logMessageField": "message",
            "logLevelField": "severity",
            "maxConcurrentShardRequests": 5,
            "dataLinks": [link],
        },
        correlations=[correlation],
        basicAuth=True,
        basicAuthUser="$ELASTICSEARCH_USER",
        secureJsonData={"basicAuthPassword": "$ELASTICSEARCH_PASSWORD"},
    )


def _alertmanager() -> dict[str, Any]:
    return _source(ALERTMANAGER, {"implementation": "prometheus", "handleGrafanaManagedAlerts": False})
