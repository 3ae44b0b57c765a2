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
PROCESS_TAGS = {"service.instance.id": "service_instance_id", "k8s.deployment.name": "job"}
"""Tags of a span's process, and the labels of `target_info` that say the same.

Jaeger takes `service.name` out of the tags, so a query by it would choose nothing. The first is of every
process that keeps to the conventions, wherever it runs; the second the Collector writes in a cluster, where a
Deployment is called like its service.
"""


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


def _of_service(rate: str) -> str:
    """PromQL: `rate` of all instances of the service that the span's process is an instance of.

    At the end of the time that is shown: the process may have begun within it. The hour is longer than that.
    """
    return f"{rate} and on (job) last_over_time({schema.TARGET.sample}{{$$__tags}}[1h] @ end())"


def _jaeger() -> dict[str, Any]:
    duration = schema.HTTP_SERVER_DURATION
    requests = _of_service(f"rate({duration.sample}[5m])")
    buckets = _of_service(f"rate({duration.name}_bucket[5m])")
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
                "tags": [{"key": tag, "value": label} for tag, label in PROCESS_TAGS.items()],
                "queries": [
                    {"name": "Requests a second", "query": f"sum by (http_route) ({requests})"},
                    {"name": "p99", "query": f"histogram_quantile(0.99, sum by (le) ({buckets}))"},
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
