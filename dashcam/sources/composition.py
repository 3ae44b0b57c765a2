"""The composition root of the sources: where clients meet their transports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashcam.sources.elasticsearch import ElasticsearchLogs
from dashcam.sources.embedded_logs import EmbeddedLogs
from dashcam.sources.jaeger import Jaeger
from dashcam.sources.logs import LogSearch
from dashcam.sources.prometheus import Prometheus
from dashcam.sources.settings import SourceSettings
from dashcam.sources.transport import HttpTransport, Transport, WsgiTransport

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@dataclass(frozen=True)
class Sources:
    """One client of each query interface."""

    traces: Jaeger
    metrics: Prometheus
    logs: LogSearch


def connect(settings: SourceSettings, here: WSGIApplication | None = None) -> Sources:
    """Build the clients; nothing is asked yet.

    `here` is an application of this process that answers Jaeger's query API and the embedded log search:
    it is asked directly for whichever of the two no setting places elsewhere.
    """

    def transport(address: str, elsewhere: bool, headers: dict[str, str] | None = None) -> Transport:
        if here is not None and not elsewhere:
            return WsgiTransport(here, address)
        return HttpTransport(address, settings.source_timeout, headers)

    jaeger, prometheus, logs = settings.jaeger_address, settings.prometheus_address, settings.logs_address
    return Sources(
        traces=Jaeger(transport(jaeger, settings.jaeger_query_url is not None), jaeger),
        metrics=Prometheus(transport(prometheus, True), prometheus),
        logs=_logs(settings, logs, transport(logs, _logs_elsewhere(settings), _credentials(settings))),
    )


def _logs_elsewhere(settings: SourceSettings) -> bool:
    embedded_here = settings.logs_url is None and settings.jaeger_query_url is None
    return settings.logs_kind != "embedded" or not embedded_here


def _credentials(settings: SourceSettings) -> dict[str, str] | None:
    return {"authorization": settings.logs_authorization} if settings.logs_authorization else None


def _logs(settings: SourceSettings, address: str, transport: Transport) -> LogSearch:
    if settings.logs_kind == "elasticsearch":
        return ElasticsearchLogs(transport, address, settings.logs_index, settings.logs_time_field)
    return EmbeddedLogs(transport, address)
