"""A receiver without OTLP, and the query API as a Jaeger elsewhere answers it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import orjson
import pytest
import urllib3

from dashcam.sources.transport import WsgiTransport
from dashcam.store.query import create_app
from dashcam.store.receiver import Receiver
from dashcam.store.settings import LocalSettings
from observability.settings import SettingError, from_environ


class Elsewhere(BaseHTTPRequestHandler):
    """A Jaeger that answers what it was asked."""

    def do_GET(self) -> None:
        body = f'{{"data": [{{"asked": "{self.path}"}}]}}'.encode()
        self.send_response(418 if "teapot" in self.path else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Set-Cookie", "own=1")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", self.headers["Content-Type"])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "path",
    [
        "/api/services",
        "/api/traces?service=a%20b&tags=%7B%22k%22%3A%22v%22%7D",
        "/api/services/a%2Fb/operations",
        "/api/v3/traces/1",
    ],
)
def test_a_question_reaches_jaeger_as_it_was_asked(elsewhere: str, tmp_path: Path, path: str) -> None:
    client = create_app(LocalSettings(state_dir=tmp_path, jaeger_url=elsewhere)).test_client()

    answer = client.get(path)

    assert answer.get_json() == {"data": [{"asked": path}]}
    assert "Set-Cookie" not in answer.headers


def test_the_console_of_the_same_process_asks_jaeger_with_its_parameters(
    elsewhere: str, tmp_path: Path
) -> None:
    app = create_app(LocalSettings(state_dir=tmp_path, jaeger_url=elsewhere))
    transport = WsgiTransport(app.wsgi_app, "http://127.0.0.1:16686")

    status, body = transport.send("Jaeger", "/api/traces", {"service": "a b", "limit": 20}, None)

    assert (status, orjson.loads(body)) == (200, {"data": [{"asked": "/api/traces?service=a+b&limit=20"}]})


def test_jaegers_status_and_bodies_both_ways_are_kept(elsewhere: str, tmp_path: Path) -> None:
    client = create_app(LocalSettings(state_dir=tmp_path, jaeger_url=elsewhere)).test_client()

    assert client.get("/api/traces/teapot").status_code == 418
    posted = client.post("/api/transform", data=b"\x00own", content_type="application/x-own")
    assert (posted.data, posted.content_type) == (b"\x00own", "application/x-own")


def test_a_jaeger_that_is_away_is_a_502_that_names_it(tmp_path: Path) -> None:
    client = create_app(LocalSettings(state_dir=tmp_path, jaeger_url="http://127.0.0.1:1")).test_client()

    answer = client.get("/api/services")

    assert answer.status_code == 502
    assert "Jaeger at http://127.0.0.1:1 does not answer" in answer.get_json()["errors"][0]["msg"]


def test_the_log_search_and_pushed_metrics_stay_the_own_ones(elsewhere: str, tmp_path: Path) -> None:
    settings = LocalSettings(state_dir=tmp_path, otlp_http_port=0, otlp_grpc_port=0, takes_spans=False)
    receiver = Receiver(settings)
    receiver.start()
    try:
        client = create_app(LocalSettings(state_dir=tmp_path, jaeger_url=elsewhere)).test_client()
        assert client.get("/api/logs").get_json()["logs"] == []
        assert client.get("/readyz").status_code == 200
        base = f"http://127.0.0.1:{receiver.http_port}"
        taken = {
            path: urllib3.request("POST", f"{base}/v1/{path}", json={}).status
            for path in ("traces", "metrics", "logs")
        }
        assert taken == {"traces": 404, "metrics": 200, "logs": 200}
        with grpc.insecure_channel(f"127.0.0.1:{receiver.grpc_port}") as channel:
            spans, metrics = (
                channel.unary_unary(f"/opentelemetry.proto.collector.{one}/Export")
                for one in ("trace.v1.TraceService", "metrics.v1.MetricsService")
            )
            assert metrics(b"", timeout=10) == b""
            with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
                spans(b"", timeout=10)
    finally:
        receiver.stop()


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(SettingError, match="DASHCAM_JAEGER_URL='jaeger:16686' cannot be used"):
        from_environ(LocalSettings, {"DASHCAM_JAEGER_URL": "jaeger:16686"})
