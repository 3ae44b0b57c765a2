"""How a source is asked: JSON over HTTP with a time limit, or an application of this very process.

A transport answers `(status, body)` or raises :class:`SourceAway`; :class:`JsonSource` makes typed
errors of everything that is not the JSON its API promises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode, urljoin

import orjson
import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError, TimeoutError

from dashcam.sources.errors import SourceAway, SourceRefused, SourceUnreadable

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

MAX_BODY = 64 * 1024 * 1024
"""Bytes of one answer that are read; more is refused rather than held in memory."""

Params = Mapping[str, str | int | float | Sequence[str]]


class Transport(Protocol):
    """Sends one request and answers its status and body, or raises SourceAway."""

    def send(self, source: str, path: str, params: Params, json: Any | None) -> tuple[int, bytes]:
        """GET `path` with `params`, or POST it with `json` where that is not None."""


class HttpTransport:
    """Requests over HTTP with a bound on time and size, connections kept for the next one."""

    def __init__(self, address: str, timeout: float, headers: Mapping[str, str] | None = None) -> None:
        self.address = address
        self._timeout = timeout
        # A proxy of the environment is not asked: the sources are this machine's or port-forwarded.
        self._pool = urllib3.PoolManager(
            maxsize=32,
            retries=False,
            timeout=urllib3.Timeout(connect=min(timeout, 2.0), read=timeout),
            headers={"accept": "application/json", "user-agent": "dashcam-console", **(headers or {})},
        )

    def send(self, source: str, path: str, params: Params, json: Any | None) -> tuple[int, bytes]:
        url = _url(self.address, path, params)
        try:
            response = self._request(url, json)
            body = response.read(MAX_BODY + 1)
            response.release_conn()
        except HTTPError as error:
            raise SourceAway(source, self.address, self._reason(error), self._remedy(source)) from error
        if len(body) > MAX_BODY:
            reason = f"its answer is longer than {MAX_BODY // 1024 // 1024} MiB"
            raise SourceUnreadable(
                source, self.address, reason, "Ask for less: a shorter time, a lower limit."
            )
        return response.status, body

    def _request(self, url: str, json: Any | None) -> urllib3.BaseHTTPResponse:
        if json is None:
            return self._pool.request("GET", url, preload_content=False)
        headers = {**self._pool.headers, "content-type": "application/json"}
        return self._pool.request(
            "POST", url, body=orjson.dumps(json), headers=headers, preload_content=False
        )

    def _reason(self, error: HTTPError) -> str:
        cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
        if isinstance(cause, NewConnectionError):
            return "nothing answers there"
        if isinstance(cause, TimeoutError):
            return f"no answer within {self._timeout:g} s"
        return f"the connection broke ({type(cause).__name__})"

    def _remedy(self, source: str) -> str:
        return f"Start it (`make up`), forward its port, or set {ADDRESS_SETTINGS[source]}."


ADDRESS_SETTINGS = {
    "Jaeger": "JAEGER_QUERY_URL",
    "Prometheus": "PROMETHEUS_URL",
    "Alertmanager": "ALERTMANAGER_URL",
    "Log search": "LOGS_URL",
}
"""The variable that holds each source's address."""


class WsgiTransport:
    """Asks an application of this process, without a socket.

    The embedded console lives in the server that also answers the query APIs. Were it to ask itself over
    HTTP, as many page views as the server has threads would wait for each other forever.
    """

    def __init__(self, application: WSGIApplication, address: str) -> None:
        self.address = address
        self._application = application

    def send(self, source: str, path: str, params: Params, json: Any | None) -> tuple[int, bytes]:
        from werkzeug.test import Client

        client = Client(self._application, use_cookies=False)
        base, query = self.address + "/", urlencode(params, doseq=True)
        if json is None:
            response = client.get(path, query_string=query, base_url=base)
        else:
            response = client.post(path, query_string=query, base_url=base, json=json)
        with response:
            return response.status_code, response.get_data()


class JsonSource:
    """One source over one transport; the clients of the three interfaces build on it."""

    name: str
    """What messages call the source; a key of ADDRESS_SETTINGS."""

    def __init__(self, transport: Transport, address: str) -> None:
        self.address = address
        self._transport = transport

    def ask(self, path: str, params: Params | None = None, json: Any | None = None) -> Any:
        """The decoded body of a 2xx answer; raises SourceError for every other outcome."""
        status, body = self._transport.send(self.name, path, params or {}, json)
        if status >= 400:
            raise SourceRefused(self.name, self.address, status, *self._complaint(status, body))
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise self.unreadable(f"its answer to {path} is not JSON") from error

    def raw(self, path: str, params: Params | None = None) -> bytes | None:
        """The body of a 2xx answer as it came; None for a 404."""
        status, body = self._transport.send(self.name, path, params or {}, None)
        if status == 404:
            return None
        if status >= 400:
            raise SourceRefused(self.name, self.address, status, *self._complaint(status, body))
        return body

    def unreadable(self, reason: str) -> SourceUnreadable:
        """The error of an answer that is not this API's."""
        remedy = f"Check that {ADDRESS_SETTINGS[self.name]} points at {self.name}'s API."
        return SourceUnreadable(self.name, self.address, reason, remedy)

    def _complaint(self, status: int, body: bytes) -> tuple[str, str]:
        """(reason, remedy) from an error's body, in the spelling of whichever API wrote it."""
        try:
            said = _message(orjson.loads(body))
        except orjson.JSONDecodeError:
            said = ""
        reason = f"it answered {status}" + (f": {said[:500]}" if said else "")
        if status in (401, 403):
            return reason, "Check the credentials."
        if status == 404:
            return reason, f"Check that {ADDRESS_SETTINGS[self.name]} points at {self.name}'s API."
        if status < 500:
            return reason, "Correct what was asked for."
        return reason, f"Look at {self.name}'s own log."


def _url(address: str, path: str, params: Params) -> str:
    url = urljoin(address + "/", path.lstrip("/"))
    return f"{url}?{urlencode(params, doseq=True)}" if params else url


def _message(body: Any) -> str:
    """What an error's JSON says: Jaeger's `errors`, Prometheus' `error`, a problem, Elasticsearch."""
    if not isinstance(body, dict):
        return ""
    errors = body.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return str(errors[0].get("msg") or errors[0].get("detail") or "")
    error = body.get("error")
    if isinstance(error, dict):
        return str(error.get("reason") or error.get("message") or error.get("type") or "")
    return str(error or body.get("detail") or body.get("title") or body.get("message") or "")
