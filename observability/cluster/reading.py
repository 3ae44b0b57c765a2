"""The command line against a cluster: where the sources are behind `make port-forward`, and the password."""

from __future__ import annotations

import base64
import os

import click

from observability.cluster.kubectl import NAMESPACE, ClusterError, Kubectl

READER = "grafana"
"""The user of Elasticsearch that may read log lines and nothing else."""


def environment(kubectl: Kubectl) -> dict[str, str]:
    """The variables of :class:`observability.sources.SourceSettings` for a cluster with its forwards up.

    Raises ClusterError where the password of Elasticsearch's reader cannot be had.
    """
    data = kubectl.get("secret", "elasticsearch-users", "-n", NAMESPACE)["data"]
    password = base64.b64decode(data[READER]).decode()
    token = base64.b64encode(f"{READER}:{password}".encode()).decode()
    return {
        "JAEGER_QUERY_URL": "http://127.0.0.1:16686",
        "PROMETHEUS_URL": "http://127.0.0.1:9090",
        "ALERTMANAGER_URL": "http://127.0.0.1:9093",
        "LOGS_KIND": "elasticsearch",
        "LOGS_URL": "http://127.0.0.1:9200",
        "ELASTICSEARCH_INDEX": "logs-dashcam*",
        "ELASTICSEARCH_AUTHORIZATION": f"Basic {token}",
    }


def point_at(context: str) -> None:
    """Let the commands of this process read the cluster; a variable that is set already wins."""
    try:
        found = environment(Kubectl(context))
    except ClusterError as error:
        raise click.ClickException(str(error)) from error
    for name, value in found.items():
        os.environ.setdefault(name, value)
