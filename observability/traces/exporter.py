"""Sending spans over OTLP/HTTP: the official exporter's client, with bytes that exist already.

Connection, TLS, proxies, compression, time limits and retries are the official exporter's. It is given
spans that were encoded when they ended (`otlp.encoded`), so that the exporting thread joins bytes where it
would hold the interpreter for 20 ms to encode a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from observability.configuration import TelemetrySettings
from observability.traces import otlp


class ObservedSession(requests.Session):
    """The exporter's HTTP session, which remembers why the last call failed.

    `SpanExporter.export` answers only that it failed; `otel_sdk_exporter_*` must say why.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failure: str | None = None

    def settle(self, url: str) -> None:
        """Take over, for good, what the environment says of proxies, certificates and the password for `url`.

        requests would read all of it again for each batch, which took as long as to make and send it.
        """
        found = self.merge_environment_settings(url, {}, None, None, None)
        self.proxies, self.verify = dict(found["proxies"]), found["verify"]
        self.auth = requests.utils.get_netrc_auth(url)
        self.trust_env = False

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send; remember the status code or the exception's type when it was no success."""
        try:
            response = super().send(request, **kwargs)
        except requests.RequestException as error:
            self.failure = type(error).__qualname__
            raise
        self.failure = None if response.ok else str(response.status_code)
        return response


class EncodedExporter(OTLPSpanExporter):
    """The official exporter for spans of the resource `about` that are encoded already."""

    def __init__(self, about: Resource, session: ObservedSession, **arguments: Any) -> None:
        super().__init__(session=session, **arguments)
        self._about = about
        self._observed = session

    def export(self, spans: Sequence[otlp.Encoded]) -> SpanExportResult:  # type: ignore[override]
        """Send one batch, with retries, within the time limit."""
        if self._shutdown:
            return SpanExportResult.FAILURE
        body = otlp.request(spans, self._about)
        if 0 < self._max_request_size < len(body):
            self._observed.failure = "too_large"
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS if self._client.export(body).success else SpanExportResult.FAILURE


def otlp_exporter(
    settings: TelemetrySettings, about: Resource
) -> tuple[SpanExporter, Callable[[], str | None]]:
    """The exporter of these settings, and a function that says why its last export failed.

    It takes what `otlp.encoded` makes of spans; the official one takes the spans themselves.
    """
    session = ObservedSession()
    arguments: dict[str, Any] = {
        "endpoint": settings.spans_url,
        "headers": dict(settings.headers) or None,
        "timeout": settings.export_timeout / 1000,
        "compression": Compression(settings.compression),
    }
    exporter: SpanExporter
    if settings.instrumentation == "official":
        exporter = OTLPSpanExporter(session=session, **arguments)
    else:
        exporter = EncodedExporter(about, session, **arguments)
    session.settle(settings.spans_url)  # after the exporter has told it which certificates to trust
    return exporter, lambda: session.failure
