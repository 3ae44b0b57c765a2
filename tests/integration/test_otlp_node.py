"""The OpenTelemetry SDK of another language, unmodified, exports to the embedded receiver.

Needs Node and npm; npm takes the locked packages of otlp_node/ from its registry.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from integration import npm
from verifying import Recorder

from dashcam.store.query import create_app
from dashcam.store.receiver import Receiver
from dashcam.store.settings import LocalSettings

PEER = Path(__file__).parent / "otlp_node"


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory, ran: Recorder) -> Path:
    """The peer's folder with its packages installed."""
    folder = npm.installed(PEER, tmp_path_factory.mktemp("node") / "peer")
    version = npm.locked(PEER, "@opentelemetry/sdk-trace-base")
    ran("OpenTelemetry SDK for JavaScript", version=version, had="from npm, locked")
    return folder


@pytest.mark.verifies(
    component="OpenTelemetry SDK for JavaScript",
    claim="exports to the embedded receiver, unmodified; every attribute is found through Jaeger's API",
)
@pytest.mark.parametrize("encoding", ["json", "protobuf"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_what_the_javascript_sdk_exports_is_found_through_jaegers_api(peer, tmp_path, encoding, compression):
    settings = LocalSettings(state_dir=tmp_path, otlp_grpc_port=0, otlp_http_port=0)
    receiver = Receiver(settings)
    receiver.start()
    try:
        url = f"http://127.0.0.1:{receiver.http_port}/v1/traces"
        command = ["node", "export.mjs", encoding, compression, url]
        exported = subprocess.run(command, cwd=peer, capture_output=True, text=True, timeout=60)
        assert exported.returncode == 0, exported.stderr
        client = create_app(settings).test_client()
        (trace,) = client.get(f"/api/traces/{exported.stdout.strip()}").get_json()["data"]
    finally:
        receiver.stop()
    spans = {span["operationName"]: span for span in trace["spans"]}
    tags = {tag["key"]: (tag["type"], tag["value"]) for tag in spans["call"]["tags"]}
    assert tags == {
        "otel.scope.name": ("string", "peer"),
        "otel.scope.version": ("string", "1.2.3"),
        "text": ("string", "größe"),
        "n": ("int64", 5),
        "big": ("int64", 2**53 - 1),
        "ratio": ("float64", 0.5),
        "flag": ("bool", True),
        "list": ("string", '["a","b"]'),
        "span.kind": ("string", "client"),
        "otel.status_code": ("string", "ERROR"),
        "error": ("bool", True),
        "otel.status_description": ("string", "boom"),
    }
    (event,) = spans["call"]["logs"]
    fields = {field["key"]: field["value"] for field in event["fields"]}
    assert (fields["event"], fields["exception.type"]) == ("exception", "TypeError")
    assert spans["GET /"]["references"] == []
    assert trace["processes"]["p1"]["serviceName"] == "node-peer"
