"""node_exporter with the arguments of the cluster, and blackbox_exporter at a certificate made for it."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml
from monitoring import program

from dashboards.tests.recorder.page import Page
from dashboards.tests.recorder.programs import HOST, ROOT, Ports, page
from dashcam.stack.tools import NODE_EXPORTER

BLACKBOX = "prometheus-blackbox-exporter"


def pages(folder: Path) -> Iterator[Page]:
    """The node's disks, then a certificate."""
    yield _node(folder)
    yield _certificate(folder)


def _node(folder: Path) -> Page:
    ports = Ports()
    arguments = [f"{each}/" if each.endswith("=") else each for each in _on_this_machine()]
    url = ports.url("node", "/metrics")
    listen = f"--web.listen-address={ports.address('node')}"
    with program(*(NODE_EXPORTER.path(), *arguments, listen), log=folder / "node.log", ready=url):
        text = page(url, "node_filesystem_avail_bytes")
    return Page(
        job="node-exporter",
        program=f"node_exporter {NODE_EXPORTER.version}",
        how="with the arguments of k8s/base/node-exporter, on a virtual machine instead of a node",
        text=text,
        keep=lambda sample: 'mountpoint="/"' in sample,
        cut="file systems but the root",
    )


def _on_this_machine() -> list[str]:
    """The arguments of the cluster, where the node's root is mounted at /host."""
    return [each.replace("=/host", "=") for each in _arguments()]


def _arguments() -> list[str]:
    text = (ROOT / "k8s" / "base" / "node-exporter" / "daemonset.yaml").read_text()
    for document in yaml.safe_load_all(text):
        if document["kind"] == "DaemonSet":
            (container,) = document["spec"]["template"]["spec"]["containers"]
            return [str(each) for each in container["args"]]
    raise LookupError("no DaemonSet of node-exporter")


def _certificate(folder: Path) -> Page:
    assert shutil.which(BLACKBOX), f"{BLACKBOX} is missing: apt-get install {BLACKBOX}"
    ports = Ports()
    modules = {"tls": {"prober": "tcp", "tcp": {"tls": True, "tls_config": {"insecure_skip_verify": True}}}}
    (folder / "blackbox.yml").write_text(yaml.safe_dump({"modules": modules}))
    listen = f"--web.listen-address={ports.address('blackbox')}"
    with (
        _tls(folder) as target,
        program(
            *(BLACKBOX, f"--config.file={folder / 'blackbox.yml'}", listen),
            log=folder / "blackbox.log",
            ready=ports.url("blackbox", "/-/healthy"),
        ),
    ):
        url = ports.url("blackbox", f"/probe?module=tls&target={target}")
        text = page(url, "probe_ssl_earliest_cert_expiry")
    said = subprocess.run([BLACKBOX, "--version"], capture_output=True, text=True, timeout=30)
    version = (said.stdout + said.stderr).split("version ")[1].split()[0]
    return Page(
        job="blackbox-exporter",
        program=f"blackbox_exporter {version}",
        how="a TLS probe of a server on loopback whose certificate is valid for ten days",
        text=text,
    )


@contextmanager
def _tls(folder: Path) -> Iterator[str]:
    """The address of a server with a certificate of its own."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "10",
                "-subj",
                "/CN=dashcam",
            ),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer((HOST, 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
