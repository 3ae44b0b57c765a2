"""The command line against a cluster: where the sources are behind `make port-forward`, and the password."""

from __future__ import annotations

import atexit
import base64
import json
import os
import shutil
import tempfile
from pathlib import Path

import click

from dashcam.cluster.kubectl import NAMESPACE, ClusterError, Kubectl

READER = "grafana"
"""The user of Elasticsearch that may read log lines and nothing else."""

CERTIFICATES = "elasticsearch-tls"
"""The Secret with Elasticsearch's certificates, where it speaks TLS: in production."""


def environment(kubectl: Kubectl, folder: Path) -> dict[str, str]:
    """The variables of :class:`dashcam.sources.SourceSettings` for a cluster with its forwards up.

    Where Elasticsearch speaks TLS, its CA is written to `folder` and trusted, too. Raises ClusterError where
    the password of Elasticsearch's reader cannot be had.
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
        **_encrypted(kubectl, folder),
    }


def _encrypted(kubectl: Kubectl, folder: Path) -> dict[str, str]:
    """What is different where Elasticsearch speaks TLS; its certificate names localhost for the forward."""
    found = kubectl.run("get", "secret", CERTIFICATES, "-n", NAMESPACE, "--ignore-not-found", "-o", "json")
    if not found:
        return {}
    authority = folder / "elasticsearch-ca.crt"
    authority.write_bytes(base64.b64decode(json.loads(found)["data"]["ca.crt"]))
    # OpenSSL reads the variable wherever nothing else names authorities; all other sources here are plain.
    return {"LOGS_URL": "https://localhost:9200", "SSL_CERT_FILE": str(authority)}


def point_at(context: str) -> None:
    """Let the commands of this process read the cluster; a variable that is set already wins."""
    folder = Path(tempfile.mkdtemp(prefix="dashcam-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        found = environment(Kubectl(context), folder)
    except ClusterError as error:
        raise click.ClickException(str(error)) from error
    for name, value in found.items():
        os.environ.setdefault(name, value)
