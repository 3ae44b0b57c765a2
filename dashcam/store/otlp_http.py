"""OTLP over HTTP, with the receiver's `/readyz`, `/metrics` and `/metrics/otlp`, the page of what was pushed.

A WSGI application without a framework.

Follows the OTLP specification: an answer has the encoding of its request; errors carry a
`google.rpc.Status`; 429 and 503 carry `Retry-After`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from werkzeug.wrappers import Request, Response

from dashcam.store import metrics_page
from dashcam.store.intake import RETRY_SECONDS, SIGNALS, Intake, Refused
from dashcam.store.otlp import Malformed, TooLarge
from dashcam.store.own_metrics import ReceiverMetrics
from dashcam.store.own_page import own_page
from dashcam.store.pushed_metrics import PushedMetrics
from observability.metrics.negotiation import content_type

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

MEMBERS = 1000
"""Members of one gzip body that are read; senders make one, parallel compressors one for each piece."""

_PIECE = 64 * 1024

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


class HttpError(Exception):
    """An answer that is not 200."""

    def __init__(self, status: int, code: Code.ValueType, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class OtlpHttp:
    """The application. `ready` answers None, or what keeps the receiver from working."""

    def __init__(
        self,
        intake: Intake,
        metrics: ReceiverMetrics,
        pushed: PushedMetrics,
        max_bytes: int,
        ready: Callable[[], str | None],
    ) -> None:
        self._intake = intake
        self._metrics = metrics
        self._pushed = pushed
        self._max_bytes = max_bytes
        self._ready = ready

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        routes = {
            "/readyz": self._readyz,
            "/livez": self._livez,
            "/metrics": self._metrics_page,
            "/metrics/otlp": self._pushed_page,
        }
        if page := routes.get(request.path):
            response = page(request) if request.method in ("GET", "HEAD") else _plain("use GET", 405)
        else:
            response = self._export(request)
        return response(environ, start_response)

    def _livez(self, request: Request) -> Response:
        return _plain("ok", 200)

    def _readyz(self, request: Request) -> Response:
        complaint = self._ready()
        return _plain(complaint or "ok", 503 if complaint else 200)

    def _metrics_page(self, request: Request) -> Response:
        return own_page(self._metrics.registry, request)

    def _pushed_page(self, request: Request) -> Response:
        kind, openmetrics = content_type(*request.headers.getlist("Accept"))
        body = metrics_page.page(self._pushed.families(), openmetrics)
        self._metrics.series.set(self._pushed.held)
        return Response(body, content_type=kind, headers={"Vary": "Accept"})

    def _export(self, request: Request) -> Response:
        is_json = request.mimetype == JSON
        signal = request.path.removeprefix("/v1/")
        try:
            if not request.path.startswith("/v1/") or signal not in SIGNALS:
                raise HttpError(
                    404, Code.NOT_FOUND, f"{request.path}: OTLP is at /v1/traces, /v1/metrics and /v1/logs"
                )
            if request.method != "POST":
                raise HttpError(405, Code.UNIMPLEMENTED, f"{request.method}: use POST", Allow="POST")
            if request.mimetype not in (JSON, PROTOBUF):
                raise HttpError(
                    415,
                    Code.INVALID_ARGUMENT,
                    f"Content-Type {request.mimetype!r}: use {PROTOBUF} or {JSON}",
                    Accept=f"{PROTOBUF}, {JSON}",
                )
            encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
            if encoding not in ("identity", "gzip", "deflate"):
                raise HttpError(
                    415,
                    Code.INVALID_ARGUMENT,
                    f"Content-Encoding {encoding!r}: use gzip or deflate",
                    Accept_Encoding="gzip, deflate",
                )
            message = self._take(signal, lambda: self._body(request, encoding), is_json)
            return _message(message, 200, is_json)
        except HttpError as error:
            status = Status(code=error.code, message=str(error))
            return _message(status, error.status, is_json, error.headers)

    def _take(self, signal: str, read: Callable[[], bytes], is_json: bool) -> Message:
        try:
            return self._intake.take(signal, "http", read, is_json=is_json)
        except Malformed as error:
            raise HttpError(400, Code.INVALID_ARGUMENT, str(error)) from None
        except TooLarge as error:
            raise HttpError(413, Code.INVALID_ARGUMENT, str(error)) from None
        except Refused as refused:
            status, code = (429, Code.RESOURCE_EXHAUSTED) if refused.overloaded else (503, Code.UNAVAILABLE)
            raise HttpError(status, code, refused.message, Retry_After=str(RETRY_SECONDS)) from None

    def _body(self, request: Request, encoding: str) -> bytes:
        """The decompressed body. Raises TooLarge, or Malformed for one that is not what its headers say."""
        too_large = TooLarge(f"the request is larger than {self._max_bytes} bytes; send smaller batches")
        if (request.content_length or 0) > self._max_bytes:
            raise too_large
        raw = request.stream.read(self._max_bytes + 1)
        if len(raw) > self._max_bytes:
            raise too_large
        if request.content_length is not None and len(raw) < request.content_length:
            raise Malformed(f"the body ends after {len(raw)} of {request.content_length} bytes")
        if encoding == "identity":
            return raw
        try:
            body = inflate(raw, encoding, self._max_bytes)
        except ValueError as error:
            raise Malformed(f"the body is not {encoding}: {error}") from None
        if body is None:
            raise too_large
        return body


def inflate(data: bytes, encoding: str, limit: int) -> bytes | None:
    """The decompressed data, None where it is longer than `limit`. Raises ValueError where it is broken.

    gzip allows several members one after another. Each costs a decompressor and a copy of what follows, so
    that millions of empty ones would take minutes: at most MEMBERS are read, fed in pieces.
    """
    wbits = 31 if encoding == "gzip" else 15
    decompressor = zlib.decompressobj(wbits)
    out: list[bytes] = []
    size, members = 0, 1
    try:
        for first in range(0, len(data), _PIECE):
            piece = data[first : first + _PIECE]
            while piece:
                if decompressor.eof:
                    members += 1
                    if members > MEMBERS:
                        raise ValueError(f"it has more than {MEMBERS} members")
                    decompressor = zlib.decompressobj(wbits)
                chunk = decompressor.decompress(piece, limit + 1 - size)
                out.append(chunk)
                size += len(chunk)
                if size > limit:
                    return None
                piece = decompressor.unconsumed_tail or decompressor.unused_data
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not decompressor.eof:
        raise ValueError("it is truncated")
    return b"".join(out)


def _message(message: Message, status: int, is_json: bool, headers: dict[str, str] | None = None) -> Response:
    body = MessageToJson(message, indent=None).encode() if is_json else message.SerializeToString()
    return Response(body, status, headers, content_type=JSON if is_json else PROTOBUF)


def _plain(text: str, status: int) -> Response:
    return Response(f"{text}\n", status, content_type="text/plain; charset=utf-8")
