"""What stands between a log agent and Elasticsearch, and can do all that a network and a server do wrong.

The Elasticsearch behind it is a real one: what the gate lets through is stored, what it holds back is not.
Beside it is the cluster's API as far as an agent asks it: who a pod is. That always answers.
"""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import urllib3

POD = "/api/v1/namespaces/"
REFUSED: dict[str, Any] = {
    "status": 429,
    "error": {"type": "es_rejected_execution_exception", "reason": "the queue is full"},
}


class Gate:
    """Listens on a port of its own, for as long as the test runs; `url` is Elasticsearch's own address."""

    def __init__(self, url: str, certificates: Path | None = None, port: int = 0) -> None:
        self._url = url
        self._http = urllib3.PoolManager(retries=False, timeout=60, maxsize=16)
        self._tls = None
        if certificates:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")
        self._server: _Server | None = None
        self._api = _Server(("127.0.0.1", 0), _Api)
        self._api.gate = self
        self.api = f"http://127.0.0.1:{self._api.server_address[1]}"
        """Of the cluster."""
        threading.Thread(target=self._api.serve_forever, args=(0.05,), daemon=True).start()
        self._answers = threading.Event()
        self._answers.set()
        self.half_refused = 0
        """How many bulk requests to come are refused in every second item."""
        self.answers_lost = 0
        """How many bulk requests to come are stored, and their answers cut off."""
        self.refused_items = 0
        self.status = 0
        """What every request is answered with, instead of being let through; 0 for nothing."""
        self.bulks = 0
        self.connections = 0
        self.port = port
        self.listen()

    def listen(self) -> None:
        """Answer again, or for the first time."""
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.gate = self
        if self._tls:
            self._server.socket = self._tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def refuse(self) -> None:
        """From now on nobody listens here, and who was connected is so no more."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self._server.cut()
        self._server = None

    def hang(self) -> None:
        """From now on connections are taken, and nothing is answered."""
        self._answers.clear()

    def recover(self) -> None:
        """Answer what comes from now on. Who asked meanwhile is never told anything."""
        self._answers.set()

    def close(self) -> None:
        """End it."""
        if self._server is not None:
            self.refuse()
        self._api.shutdown()
        self._api.server_close()
        self._api.cut()
        self._answers.set()
        self._http.clear()

    @property
    def hangs(self) -> bool:
        """Whether it takes requests and answers none."""
        return not self._answers.is_set()

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """The answer of Elasticsearch."""
        sent = {
            name: value
            for name, value in headers.items()
            if name.lower() in ("authorization", "content-type", "content-encoding", "accept")
        }
        answer = self._http.request(method, self._url + path, body=body or None, headers=sent)
        return answer.status, answer.data

    def half(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Elasticsearch's answer of every second item, between items that are refused."""
        if headers.pop("Content-Encoding", "") == "gzip":
            body = gzip.decompress(body)
        rows = body.splitlines(keepends=True)
        items = [rows[n : n + 2] for n in range(0, len(rows), 2)]
        taken = b"".join(row for item in items[::2] for row in item)
        bare, _, query = path.partition("?")
        status, data = self.forward("POST", bare, headers, taken)
        answers = iter(json.loads(data)["items"])
        made = [next(answers) if n % 2 == 0 else {"create": REFUSED} for n in range(len(items))]
        self.refused_items += len(items) // 2
        errors = any("error" in item["create"] for item in made)
        answer = {"took": 1, "errors": errors, "items": made}
        # As Elasticsearch leaves out what is not asked for.
        if "filter_path=errors" in query.split("&"):
            answer = {"errors": errors}
        return status, json.dumps(answer).encode()


class _Server(ThreadingHTTPServer):
    gate: Gate
    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        self.gate.connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        """End every connection."""
        for each in list(self._open):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it is gone already

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        gate = self.server.gate
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self._chunks()
        headers = dict(self.headers.items())
        if gate.hangs:
            self.rfile.read(1)  # nothing, once the other side gives up
            self.close_connection = True
        elif gate.status:
            self._answer(gate.status, b'{"error": "not now"}')
        elif not self.path.split("?")[0].endswith("_bulk"):
            self._answer(*gate.forward(self.command, self.path, headers, body))
        else:
            self._bulk(headers, body)

    do_GET = do_HEAD = do_POST

    def _bulk(self, headers: dict[str, str], body: bytes) -> None:
        gate = self.server.gate
        gate.bulks += 1
        if gate.answers_lost > 0:
            gate.answers_lost -= 1
            gate.forward("POST", self.path, headers, body)
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif gate.half_refused > 0:
            gate.half_refused -= 1
            self._answer(*gate.half(self.path, headers, body))
        else:
            self._answer(*gate.forward("POST", self.path, headers, body))

    def _chunks(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return b""
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        """Nothing: an agent asks often."""


class _Api(_Handler):
    def do_GET(self) -> None:
        self._answer(200, json.dumps(_pod(self.path)).encode())


def _pod(path: str) -> dict[str, Any]:
    """What a cluster's API says of a pod."""
    namespace, _, name = path.removeprefix(POD).partition("?")[0].split("/")[:3]
    service = name.partition("-")[0]
    image = f"docker.io/dashcam/{service}:0.1.0"
    status = {"name": "app", "image": image, "imageID": f"docker.io/dashcam/{service}@sha256:{'c' * 64}"}
    return {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": "0f7c5a4e-0d55-4d5c-9c39-1d3a3f5f0a11",
            "labels": {"app.kubernetes.io/name": service, "app.kubernetes.io/part-of": "dashcam"},
        },
        "spec": {"nodeName": "node-1"},
        "status": {"podIP": "10.0.0.7", "containerStatuses": [{**status, "containerID": "containerd://x"}]},
    }
