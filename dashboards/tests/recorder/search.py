"""elasticsearch_exporter at a real Elasticsearch, with the user and the arguments of the cluster."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from monitoring import program
from search_server.server import Elasticsearch

from dashboards.tests.recorder.page import Page
from dashboards.tests.recorder.programs import ROOT, Ports, page
from dashcam.stack.tools import ELASTICSEARCH_EXPORTER

BASE = ROOT / "k8s" / "base"
USER, PASSWORD = "elasticsearch-exporter", "recorded-only"
LINES = 500


def pages(folder: Path) -> Iterator[Page]:
    """The exporter's page."""
    server = Elasticsearch(os.environ.get("ELASTICSEARCH_HOME"))
    try:
        server.start()
        yield _recorded(server, folder)
    finally:
        server.stop()


def _recorded(server: Elasticsearch, folder: Path) -> Page:
    role = json.loads((BASE / "elasticsearch" / "bootstrap" / f"role-{USER}.json").read_text())
    server.expect("PUT", f"/_security/role/{USER}", role)
    server.expect("PUT", f"/_security/user/{USER}", {"password": PASSWORD, "roles": [USER]})
    line = json.dumps({"message": "GET /cars 200", "service": "car"})
    lines = "".join(f'{{"create":{{}}}}\n{line}\n' for _ in range(LINES))
    server.expect("POST", "/dashcam-recorded/_bulk?refresh=true", lines.encode())
    ports = Ports()
    told = {"ELASTICSEARCH_URL": server.url, "ES_USERNAME": USER, "ES_PASSWORD": PASSWORD}
    arguments = [each.replace("$(ELASTICSEARCH_URL)", server.url) for each in _arguments()]
    listen = f"--web.listen-address={ports.address('exporter')}"
    url = ports.url("exporter", "/metrics")
    named = ("elasticsearch_cluster_health_status", "elasticsearch_thread_pool_rejected_count")
    with program(
        *(ELASTICSEARCH_EXPORTER.path(), *arguments, listen),
        log=folder / "exporter.log",
        ready=url,
        env={**os.environ, **told},
    ):
        text = page(url, *named)
    version = server.expect("GET", "/")["version"]["number"]
    return Page(
        job="elasticsearch-exporter",
        program=f"elasticsearch_exporter {ELASTICSEARCH_EXPORTER.version} at Elasticsearch {version}",
        how=f"with the arguments, the user and the role of k8s/base, after {LINES} documents in an index "
        "with a replica that has no node to be on",
        text=re.sub(r'path="[^"]*/data"', 'path="/data"', text),
        keep=lambda sample: (
            "thread_pool" not in sample or 'type="write"' in sample or 'type="search"' in sample
        ),
        cut="thread pools but write and search, the folder that the data is in",
    )


def _arguments() -> list[str]:
    for document in yaml.safe_load_all((BASE / "elasticsearch-exporter" / "deployment.yaml").read_text()):
        if document["kind"] == "Deployment":
            (container,) = document["spec"]["template"]["spec"]["containers"]
            arguments: list[Any] = container["args"]
            return [str(each) for each in arguments]
    raise LookupError("no Deployment of elasticsearch-exporter")
