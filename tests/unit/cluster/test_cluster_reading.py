"""`dashcam --context` points the commands at a cluster's sources, with the reader's password."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
import pytest

from dashcam.cluster.forwarded_sources import environment, point_at
from dashcam.cluster.kubectl import Kubectl
from dashcam.sources.errors import SourceAway
from dashcam.sources.settings import SourceSettings
from dashcam.sources.transport import HttpTransport
from observability.settings import from_environ


def standin(folder: Path, *, authority: str = "") -> None:
    """A kubectl that knows the readers' Secret and, where there is one, that of the certificates."""
    users = {"data": {"grafana": base64.b64encode(b"pass:word").decode()}}
    certificates = {"data": {"ca.crt": base64.b64encode(authority.encode()).decode()}} if authority else None
    program = folder / "kubectl"
    known = json.dumps(certificates) if certificates else ""
    program.write_text(
        "#!/bin/sh\n"
        f"case \"$*\" in *elasticsearch-tls*) printf %s '{known}' ;; *) echo '{json.dumps(users)}' ;; esac\n"
    )
    program.chmod(0o755)


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kubectl that knows one Secret, and an environment that the test may change."""
    standin(tmp_path)
    monkeypatch.setattr(os, "environ", {"PATH": f"{tmp_path}:/usr/bin:/bin"})


@pytest.mark.usefixtures("secret")
def test_the_lines_are_read_from_elasticsearch_by_its_reader(tmp_path: Path) -> None:
    settings = from_environ(SourceSettings, environment(Kubectl("x"), tmp_path))
    assert (settings.logs_kind, settings.logs_address) == ("elasticsearch", "http://127.0.0.1:9200")
    scheme, _, token = (settings.logs_authorization or "").partition(" ")
    assert (scheme, base64.b64decode(token)) == ("Basic", b"grafana:pass:word")


@pytest.mark.usefixtures("secret")
def test_a_variable_that_is_set_wins() -> None:
    os.environ["LOGS_URL"] = "https://elsewhere:9200"
    point_at("x")
    assert os.environ["LOGS_URL"] == "https://elsewhere:9200"
    assert os.environ["LOGS_KIND"] == "elasticsearch"


def test_no_cluster_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(click.ClickException, match="kubectl is not on PATH"):
        point_at("x")


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """A server with a certificate for localhost that nobody knows: its port, and who signed it."""
    key, certificate = tmp_path / "tls.key", tmp_path / "tls.crt"
    made = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=elasticsearch"
    )
    names = ["-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*made.split(), *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, certificate.read_text()
        server.shutdown()
        thread.join()


def test_where_elasticsearch_speaks_tls_its_authority_is_trusted(
    encrypted: tuple[int, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, authority = encrypted
    standin(tmp_path, authority=authority)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    address = environment(Kubectl("x"), tmp_path)["LOGS_URL"].replace("9200", str(port))
    assert address.startswith("https://localhost:")

    with pytest.raises(SourceAway):
        HttpTransport(address, 5).send("Log search", "/", {}, None)
    monkeypatch.setenv("SSL_CERT_FILE", environment(Kubectl("x"), tmp_path)["SSL_CERT_FILE"])
    assert HttpTransport(address, 5).send("Log search", "/", {}, None) == (200, b"{}")
