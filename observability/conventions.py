"""The attributes of an incoming request by the stable HTTP conventions, as the official instrumentation has.

What it reads from the environment at every request is read here once, when a service is instrumented:
which headers are to be captured, which URLs are to be left out, whether unknown methods are kept.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.instrumentation.wsgi import (
    collect_custom_request_headers_attributes,
    collect_custom_response_headers_attributes,
)
from opentelemetry.util.http import (
    OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST,
    OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE,
    OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS,
    detect_synthetic_user_agent,
    get_custom_headers,
    get_excluded_urls,
    normalize_user_agent,
)

from observability import redaction

KNOWN_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}
)
OTHER = "_OTHER"


class ServerConventions:
    """The conventions as this process is configured."""

    def __init__(self) -> None:
        self._all_methods = bool(os.environ.get(OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS))
        self._request_headers = bool(
            get_custom_headers(OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST)
        )
        self.captures_response = bool(
            get_custom_headers(OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE)
        )
        excluded = get_excluded_urls("FLASK")
        self.excluded = excluded if excluded._excluded_urls else None
        self._synthetic: dict[str, str | None] = {}

    def method(self, given: str) -> str:
        """The method as a label: upper case, and `_OTHER` for what no specification knows."""
        if given in KNOWN_METHODS:
            return given
        given = given.upper()
        return given if self._all_methods or given in KNOWN_METHODS else OTHER

    def request(self, environ: Mapping[str, Any], route: str | None) -> dict[str, Any]:
        """The attributes of a request to `route`, which is None where there is none."""
        get = environ.get
        found: dict[str, Any] = {}
        given = get("REQUEST_METHOD", "")
        method = self.method(given)
        if given != method and given.strip() not in ("", method):
            found["http.request.method_original"] = given.strip()
        if method:
            found["http.request.method"] = method
        _url(get, found)
        self._peer(get, found)
        protocol = get("SERVER_PROTOCOL", "")
        if protocol[:5].upper() == "HTTP/":
            protocol = protocol[5:]
        if protocol:
            found["network.protocol.version"] = protocol
        if route is not None:
            found["http.route"] = route
        if self._request_headers:
            found |= collect_custom_request_headers_attributes(dict(environ))
        return found

    def _peer(self, get: Callable[[str], Any], found: dict[str, Any]) -> None:
        address = get("REMOTE_ADDR")
        if address:
            found["client.address"] = address
        if port := get("REMOTE_PORT"):
            with contextlib.suppress(ValueError, TypeError):
                found["client.port"] = int(port)
        name = get("REMOTE_HOST")
        if name and name != address:
            found["client.address"] = name
        agent = get("HTTP_USER_AGENT")
        if agent and (agent := normalize_user_agent(agent)):
            found["user_agent.original"] = agent
            if kind := self._kind_of(agent):
                found["user_agent.synthetic.type"] = kind

    def _kind_of(self, agent: str) -> str | None:
        """Whether an agent says of itself that it is a robot or a test; agents are few."""
        try:
            return self._synthetic[agent]
        except KeyError:
            if len(self._synthetic) >= 1024:
                self._synthetic.clear()
            kind = self._synthetic[agent] = detect_synthetic_user_agent(agent)
            return kind

    def response(self, headers: list[tuple[str, str]]) -> Mapping[str, Any]:
        """The attributes of the response's headers that are captured, where any are."""
        return dict(collect_custom_response_headers_attributes(headers))


def _url(get: Callable[[str], Any], found: dict[str, Any]) -> None:
    if scheme := get("wsgi.url_scheme"):
        found["url.scheme"] = scheme
    if host := get("HTTP_HOST"):
        found["server.address"] = host
    if port := get("SERVER_PORT"):
        found["server.port"] = int(port)
    # The official one asks for the request's target too, which PEP 3333 does not know, nor granian tell.
    if path := get("PATH_INFO"):
        found["url.path"] = path
    if query := get("QUERY_STRING"):
        found["url.query"] = redaction.text(query)
