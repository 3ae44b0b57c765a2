"""Grafana's data sources with fixed uids, and the ways from one signal to the other two.

exemplar -> trace (Prometheus), trace -> logs and metrics (Jaeger), log line -> trace (Elasticsearch).
A `$` of Grafana's own is doubled: a single one would be read from the environment while provisioning.
"""

from __future__ import annotations

import json
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
SERVICE_TAG = "k8s.deployment.name"
"""A tag of the process that says what `job` says. Jaeger takes `service.name` out of the tags, so a query by
it would choose nothing; the Collector writes this one, and a Deployment is called like its service."""


def provisioning() -> dict[str, Any]:
    """provisioning/datasources/*.yaml."""
    return {
        "apiVersion": 1,
        "prune": True,
        "datasources": [_prometheus(), _jaeger(), _elasticsearch(), _alertmanager()],
    }


def dashboard_provider() -> dict[str, Any]:
    """provisioning/dashboards/*.yaml: all JSON files of two folders, not editable in place."""
    folders = {"Dashcam": "dashboards", "Dashcam runbooks": "runbooks"}
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": title.lower().replace(" ", "-"),
                "folder": title,
                "type": "file",
                "disableDeletion": True,
                "allowUiUpdates": False,
                "options": {"path": f"/var/lib/grafana/{folder}"},
            }
            for title, folder in folders.items()
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
    # No datasourceUid: Grafana would ask Jaeger in Tempo's language, which its Jaeger source does not answer.
    left = json.dumps({"datasource": JAEGER.uid, "queries": [{"query": "$${__value.raw}"}]})
    exemplar = {"name": EXEMPLAR_LABEL, "url": f"/explore?left={left}", "urlDisplayLabel": "Open the trace"}
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
                "tags": [{"key": SERVICE_TAG, "value": "job"}],
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
        basicAuth=True,
        basicAuthUser="$ELASTICSEARCH_USER",
        secureJsonData={"basicAuthPassword": "$ELASTICSEARCH_PASSWORD"},
    )


def _alertmanager() -> dict[str, Any]:
    return _source(ALERTMANAGER, {"implementation": "prometheus", "handleGrafanaManagedAlerts": False})
