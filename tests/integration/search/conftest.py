"""A real Elasticsearch as the manifests bring it up, and the services' lines in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from realprograms import pinned as pinned_version
from search_server.fluent_bit import Document, FluentBit, bulk, torn
from search_server.oddities import lines as odd_lines
from search_server.server import Elasticsearch
from search_server.services import Services, Written, exercise
from verifying import Recorder

BASE = Path(__file__).parents[3] / "k8s" / "base" / "elasticsearch"
USERS = ("fluent-bit", "grafana", "jaeger", "elasticsearch-exporter", "kibana_system")
STREAM = "logs-dashcam-services"
UID = "0f7c5a4e-0d55-4d5c-9c39-1d3a3f5f0a11"
UNANSWERED = 28
"""curl's status for a request that nobody answered in time."""


@dataclass(frozen=True)
class Shipped:
    """What was written, what Fluent Bit makes of it, and the answer to the bulk request."""

    written: list[Written]
    documents: list[Document]
    answer: dict
    traces: dict[str, str]

    @property
    def by_id(self) -> dict[str, Document]:
        """The documents by the ids that Elasticsearch gave them."""
        return dict(zip(ids(self.answer), self.documents, strict=True))


def password(user: str) -> str:
    return f"of-{user}-in-tests"


@pytest.fixture(scope="session")
def elasticsearch(ran: Recorder) -> Iterator[Elasticsearch]:
    """One node with the settings of `local`, empty."""
    node = Elasticsearch(os.environ.get("ELASTICSEARCH_HOME"))
    record(ran, node)
    node.start()
    yield node
    node.stop()


def record(ran: Recorder, node: Elasticsearch) -> None:
    """Say which server this run has."""
    had = (
        "the folder that ELASTICSEARCH_HOME names"
        if node.whole
        else "the server with transport and security from Maven Central, other modules stood in for (ADR 71)"
    )
    pinned = pinned_version(BASE / "statefulset.yaml")
    ran("Elasticsearch", version=node.version, had=had, pinned=pinned)


@pytest.fixture(scope="session")
def bootstrap(elasticsearch: Elasticsearch, tmp_path_factory: pytest.TempPathFactory):
    """Runs the bootstrap Job's script; answers what it printed."""
    script = bootstrap_script(elasticsearch.password, tmp_path_factory.mktemp("bootstrap"))
    return lambda: run_bootstrap(script, elasticsearch)


def bootstrap_script(first_password: str, folder: Path) -> Path:
    """The very script of the bootstrap Job, with its files in `folder` instead of the container's folders."""
    files, users = folder / "files", folder / "users"
    shutil.copytree(BASE / "bootstrap", files)
    users.mkdir()
    for user in USERS:
        (users / user).write_text(password(user))
    (users / "elastic").write_text(first_password)
    script = files / "bootstrap.sh"
    places = {"/etc/users": users, "/etc/bootstrap": files, "/tmp": folder}
    text = re.sub("|".join(places), lambda found: str(places[found[0]]), script.read_text())
    script.write_text(text)
    return script


def run_bootstrap(script: Path, node: Elasticsearch, **variables: str) -> str:
    """What the script printed; it must end well."""
    environ = {"PATH": os.environ["PATH"], "ELASTICSEARCH_URL": node.url, **variables}
    done = subprocess.run(["bash", str(script)], env=environ, capture_output=True, text=True, timeout=300)
    if done.returncode:
        said = f"{done.stdout}{done.stderr}Elasticsearch said:\n{node.said()}"
        if done.returncode == UNANSWERED:
            said += f"\nand was at:\n{node.threads()}"
        pytest.fail(said)
    return done.stdout


@pytest.fixture(scope="session")
def ready(elasticsearch: Elasticsearch, bootstrap) -> Elasticsearch:
    """The node after the bootstrap Job has run."""
    bootstrap()
    return elasticsearch


@pytest.fixture(scope="session")
def shipped(ready: Elasticsearch, tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """The lines of all services, and the odd ones, through the pipeline into the data stream."""
    services = Services(tmp_path_factory.mktemp("services"))
    with services.running():
        traces = exercise(services)
    written = [*services.written(), *(Written("car", "stdout", line) for line in odd_lines())]
    documents = through_fluent_bit(written)
    return Shipped(written, documents, deliver(ready, documents), traces)


def through_fluent_bit(written: list[Written], pipeline: FluentBit | None = None) -> list[Document]:
    """As the runtime writes the rows to each container's file, and Fluent Bit reads them."""
    pipeline = pipeline or FluentBit()
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    documents = []
    for service in dict.fromkeys(each.service for each in written):
        rows: list[str] = []
        for number, each in enumerate(each for each in written if each.service == service):
            moment = (began + timedelta(milliseconds=number)).strftime("%Y-%m-%dT%H:%M:%S.%f")
            rows += torn(each.text, f"{moment}{number % 1000:03d}Z", each.stream)
        path = f"/var/log/pods/dashcam_{service}-5d8f7c9b6-x2x4z_{UID}/app/0.log"
        documents += pipeline.documents(path, rows)
    return documents


def ids(answer: dict) -> list[str]:
    """Which document of a bulk request became which."""
    return [item["create"]["_id"] for item in answer["items"]]


def deliver(node: Elasticsearch, documents: list[Document], stream: str = STREAM) -> dict:
    """One bulk request of Fluent Bit's user."""
    assert {document.stream for document in documents} == {stream}
    path = f"/{stream}/_bulk?refresh=true"
    return node.expect("POST", path, bulk(documents), user="fluent-bit", password=password("fluent-bit"))
