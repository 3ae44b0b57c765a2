"""The exporter's HTTP session: what the environment says is read once and holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from opentelemetry.sdk.resources import Resource
from requests.adapters import HTTPAdapter

from observability.testing import settings
from observability.traces import exporter

URL = "http://collector.example:4318/v1/traces"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[requests.PreparedRequest, dict[str, Any]]]:
    """What would have gone out."""
    found: list[tuple[requests.PreparedRequest, dict[str, Any]]] = []

    def send(self: HTTPAdapter, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        found.append((request, how))
        response = requests.Response()
        response.status_code, response.request, response.raw = 200, request, None
        response._content = b""
        return response

    monkeypatch.setattr(HTTPAdapter, "send", send)
    return found


@pytest.mark.parametrize("instrumentation", ["dashcam", "official"])
def test_proxy_certificates_and_password_of_the_environment_hold(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sent: Any, instrumentation: str
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine collector.example login dash password cam\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    made, failure = exporter.otlp_exporter(
        settings(traces_endpoint=URL, instrumentation=instrumentation), Resource({})
    )
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://later.example:3128")
    made.export([])
    ((request, how),) = sent
    assert request.headers["Authorization"] == "Basic ZGFzaDpjYW0="
    assert how["proxies"]["http"] == "http://proxy.example:3128"
    assert how["verify"] == str(tmp_path)
    assert failure() is None
    made.shutdown()
