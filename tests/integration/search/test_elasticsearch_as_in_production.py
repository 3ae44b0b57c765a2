"""One node with the settings of production: TLS to everyone, and to other nodes on both sides.

The first of this folder, by its name and by the time that it says for all of it: this node is gone before the
one of all other tests is started.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3
from integration.search.conftest import bootstrap_script, password, record, run_bootstrap
from search_server.certificates import secret
from search_server.server import Elasticsearch
from verifying import Recorder

pytestmark = [
    pytest.mark.takes(150),
    pytest.mark.verifies(
        component="Elasticsearch",
        claim="starts with the production settings, TLS on both ports, and is bootstrapped over it",
    ),
]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return secret(tmp_path_factory.mktemp("tls") / "certs")


@pytest.fixture(scope="module")
def node(certificates: Path, ran: Recorder) -> Iterator[Elasticsearch]:
    """As the first of three nodes, alone."""
    node = Elasticsearch(os.environ.get("ELASTICSEARCH_HOME"), certificates)
    record(ran, node)
    node.start()
    yield node
    node.stop()


def test_the_bootstrap_runs_over_tls_with_the_ca_alone(node, certificates, tmp_path):
    printed = run_bootstrap(
        bootstrap_script(node.password, tmp_path), node, CURL_CA_BUNDLE=str(certificates / "ca.crt")
    )
    assert printed.endswith("done\n")
    known = node.expect("GET", "/_security/_authenticate", user="jaeger", password=password("jaeger"))
    assert known["roles"] == ["dashcam-jaeger"]


def test_no_step_of_the_bootstrap_meets_an_error_of_the_engine_inside_the_node(node):
    # With another thread's first error at the same moment, that stops a new node for ever: ADR 71.
    assert node.initialized("org.elasticsearch.index.engine.InternalEngine")
    assert not node.initialized("org.elasticsearch.index.engine.DocumentMissingException")
    assert not node.initialized("org.elasticsearch.index.engine.VersionConflictEngineException")


def test_who_does_not_know_the_ca_trusts_no_node(node):
    with pytest.raises(urllib3.exceptions.SSLError):
        urllib3.PoolManager(retries=False, timeout=30).request("GET", node.url)


def test_nobody_is_answered_without_tls(node):
    plain = node.url.replace("https://", "http://")
    with pytest.raises((urllib3.exceptions.ProtocolError, urllib3.exceptions.TimeoutError)):
        urllib3.PoolManager(retries=False, timeout=30).request("GET", plain)


@pytest.mark.parametrize(
    "name", ["elasticsearch", "elasticsearch-0.elasticsearch-pods.dashcam.svc.cluster.local", "localhost"]
)
def test_the_certificate_has_the_names_that_clients_and_nodes_use(node, certificates, name):
    trusting = ssl.create_default_context(cafile=certificates / "ca.crt")
    with (
        socket.create_connection(("127.0.0.1", urlsplit(node.url).port or 0), timeout=30) as raw,
        trusting.wrap_socket(raw, server_hostname=name) as secured,
    ):
        assert secured.version() in ("TLSv1.3", "TLSv1.2")


def test_another_node_without_a_certificate_is_refused(node, certificates):
    trusting = ssl.create_default_context(cafile=certificates / "ca.crt")
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2  # 1.3 tells of it only with the first answer
    with (
        socket.create_connection(("127.0.0.1", node.transport_port), timeout=30) as raw,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        trusting.wrap_socket(raw, server_hostname="elasticsearch")


def test_another_node_with_a_certificate_of_the_same_ca_is_let_in(node, certificates):
    trusting = ssl.create_default_context(cafile=certificates / "ca.crt")
    trusting.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")
    with (
        socket.create_connection(("127.0.0.1", node.transport_port), timeout=30) as raw,
        trusting.wrap_socket(raw, server_hostname="elasticsearch") as secured,
    ):
        assert secured.version()


def test_a_node_says_which_of_its_threads_are_at_work(node):
    stacks = node.threads()
    assert "[transport_worker][T#1]" in stacks
    assert "getTask" not in stacks
