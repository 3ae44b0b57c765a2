"""The attributes of an incoming request by the stable HTTP conventions, as the official instrumentation has.

What it reads from the environment at every request is read here once, when a service is instrumented:
which headers are to be captured, which URLs are to be left out, whether unknown methods are kept.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

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
from observability.traces import otlp
from observability.traces.spans import LONGEST

KNOWN_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}
)
OTHER = "_OTHER"
_REMEMBERED = 1024


class Shared(NamedTuple):
    """Attributes that many requests share, and the same as fields of an OTLP span, unless one is long."""

    attributes: Mapping[str, Any]
    encoded: bytes | None


class ServerConventions:
    """The conventions as this process is configured."""

    def __init__(self) -> None:
        self._all_methods = bool(os.environ.get(OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS))
        self._captures_request = bool(
            get_custom_headers(OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST)
        )
        self.captures_response = bool(
            get_custom_headers(OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE)
        )
        excluded = get_excluded_urls("FLASK")
        self.excluded = excluded if excluded._excluded_urls else None
        self._shared: dict[tuple[Any, ...], Shared] = {}

    def method(self, given: str) -> str:
        """The method as a label: upper case, and `_OTHER` for what no specification knows."""
        if given in KNOWN_METHODS:
            return given
        given = given.upper()
        return given if self._all_methods or given in KNOWN_METHODS else OTHER

    def request(self, environ: Mapping[str, Any], route: str | None) -> dict[str, Any]:
        """The attributes of a request to `route`, which is None where there is none."""
        found = dict(self._shared_of(environ, route).attributes)
        # The official one asks for the request's target too, which PEP 3333 does not know, nor granian tell.
        if path := environ.get("PATH_INFO"):
            found["url.path"] = redaction.text(as_text(path))
        if query := environ.get("QUERY_STRING"):
            found["url.query"] = redaction.query(as_text(query))
        if port := environ.get("REMOTE_PORT"):
            with contextlib.suppress(ValueError, TypeError):
                found["client.port"] = int(port)
        if self._captures_request:
            found |= _clean(collect_custom_request_headers_attributes(dict(environ)))
        return found

    def encoded(self, environ: Mapping[str, Any], route: str | None) -> bytes | None:
        """`request()` as fields of an OTLP span; None where it has to be looked at more closely."""
        get = environ.get
        path, query = get("PATH_INFO", ""), get("QUERY_STRING", "")
        if self._captures_request or len(path) + len(query) > LONGEST or get("REMOTE_PORT"):
            return None
        found = self._shared_of(environ, route).encoded
        if found is None:
            return None
        try:
            if path:
                found += _path(path)
            if query:
                found += _query(query)
        except ValueError:
            return None
        return found

    def response(self, headers: list[tuple[str, str]]) -> Mapping[str, Any]:
        """The attributes of the response's headers that are captured, where any are."""
        return _clean(collect_custom_response_headers_attributes(headers))

    def _shared_of(self, environ: Mapping[str, Any], route: str | None) -> Shared:
        get = environ.get
        key = (
            *(get("REQUEST_METHOD"), get("wsgi.url_scheme"), get("HTTP_HOST"), get("SERVER_PORT"), route),
            *(get("REMOTE_ADDR"), get("REMOTE_HOST"), get("HTTP_USER_AGENT"), get("SERVER_PROTOCOL")),
        )
        known = self._shared.get(key)
        if known is None:
            found = self._collect(get, route)
            long = any(isinstance(value, str) and len(value) > LONGEST for value in found.values())
            if long:  # not remembered, for it may be any user's
                return Shared(found, None)
            known = Shared(found, b"".join(otlp.attributes(otlp.SPAN_ATTRIBUTE, found)))
            if len(self._shared) >= _REMEMBERED:
                self._shared.clear()
            self._shared[key] = known
        return known

    def _collect(self, get: Callable[..., Any], route: str | None) -> dict[str, Any]:
        found: dict[str, Any] = {}
        given = get("REQUEST_METHOD", "")
        method = self.method(given)
        if given.strip() not in ("", method):
            found["http.request.method_original"] = given.strip()
        if method:
            found["http.request.method"] = method
        if scheme := get("wsgi.url_scheme"):
            found["url.scheme"] = scheme
        if host := get("HTTP_HOST"):
            found["server.address"] = redaction.text(host)
        if port := get("SERVER_PORT"):
            with contextlib.suppress(
                ValueError
            ):  # gunicorn on a socket of Unix takes it from the Host header
                found["server.port"] = int(port)
        _client(get, found)
        if route is not None:
            found["http.route"] = route
        return found


@functools.lru_cache(maxsize=_REMEMBERED)
def _path(path: str) -> bytes:
    """Raises ValueError as `_query`."""
    path = as_text(path)
    if redaction.suspicious(path):
        raise ValueError("to be redacted")
    return otlp.text_attribute("url.path", path)


@functools.lru_cache(maxsize=_REMEMBERED)
def _query(query: str) -> bytes:
    """Raises ValueError for what may hold a secret, which shall not be remembered."""
    query = as_text(query)
    if redaction.suspicious_query(query):
        raise ValueError("to be redacted")
    return otlp.text_attribute("url.query", query)


def as_text(given: str) -> str:
    """The text that a client sent as UTF-8: PEP 3333 hands its bytes over as Latin-1."""
    return given if given.isascii() else given.encode("latin-1", "replace").decode("utf-8", "replace")


def _clean(captured: Mapping[str, Any]) -> dict[str, Any]:
    """Headers that are captured, secrets hidden."""
    return {name: redaction.attribute(name, given) for name, given in captured.items()}


class Outcome(NamedTuple):
    """What a response's status line says: the attributes, the same as fields of a span, and the label."""

    code: int
    failed: bool
    attributes: Mapping[str, Any]
    encoded: bytes
    label: str


@functools.lru_cache(maxsize=_REMEMBERED)
def outcome(status: str) -> Outcome:
    """The outcome of a WSGI status line, as `200 OK`. Code 0 for what is none."""
    code = int(status[:3]) if status[:3].isdigit() else 0
    found: dict[str, Any] = {"http.response.status_code": code}
    failed = code >= 500 or code < 100
    if failed:
        found["error.type"] = status.partition(" ")[0]
    encoded = b"".join(otlp.attributes(otlp.SPAN_ATTRIBUTE, found))
    return Outcome(code, failed, MappingProxyType(found), encoded, str(code))


ESCAPED = "500 Internal Server Error"
"""What a server answers where an application raises."""


def cut_short(begun: Outcome, error: BaseException) -> Outcome:
    """The outcome of a response that had `begun` when making its body raised `error`.

    The client got that status and not its body. The series, which has no other word for a failure, counts
    it as a 500: else no objective would see it.
    """
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    found = {"http.response.status_code": begun.code, "error.type": name}
    encoded = b"".join(otlp.attributes(otlp.SPAN_ATTRIBUTE, found))
    return Outcome(begun.code, True, MappingProxyType(found), encoded, "500")


UNKNOWN = Outcome(0, True, MappingProxyType({}), b"", "0")
"""There is no response yet."""


def _client(get: Callable[..., Any], found: dict[str, Any]) -> None:
    """Who asks, and how."""
    if address := get("REMOTE_HOST") or get("REMOTE_ADDR"):
        found["client.address"] = address
    if agent := normalize_user_agent(get("HTTP_USER_AGENT")):
        agent = as_text(agent)
        found["user_agent.original"] = redaction.text(agent)
        if kind := detect_synthetic_user_agent(agent):
            found["user_agent.synthetic.type"] = kind
    protocol = get("SERVER_PROTOCOL", "")
    if protocol[:5].upper() == "HTTP/":
        protocol = protocol[5:]
    if protocol:
        found["network.protocol.version"] = protocol
