"""Errors as RFC 9457 problem details: one shape for every error of every service.

`install(app)` makes each error response of a Flask application `application/problem+json`, those of
Flask-RESTful resources and of its `reqparse` included. A body has `type`, `title`, `status`, `detail`,
`instance` (the request's path), `trace_id` (to find the trace and the log lines) and, for bad input,
`errors`: a list of `{"field", "value", "detail"}`. A 5xx says nothing about the code's insides: that
is in the trace and in the logs. A request that is not what it says is an error too: see
:mod:`observability.http.framing`.
"""

from __future__ import annotations

import functools
import http
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Request, Response, has_request_context, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Response as WerkzeugResponse

from observability.http import framing
from observability.traces.propagation import current_trace_id

CONTENT_TYPE = "application/problem+json"
MAX_SHOWN = 200
"""Characters of an offending value that are echoed."""


class Problem(HTTPException):
    """An error answer: raise it in a view, a resource, or anything below them.

    `status` is the HTTP status, 400 to 599. `title` is the same for every problem of its kind, `detail`
    explains this one, `type` is a URI for the kind. `errors` name the offending input as mappings with
    `field`, `value` and `detail`. `headers` are added to the response (`Retry-After`, ...).
    """

    def __init__(
        self,
        status: int,
        title: str | None = None,
        detail: str | None = None,
        *,
        type: str | None = None,
        errors: Iterable[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"a problem's status is 400 to 599, not {status}")
        super().__init__(description=detail)
        self.code = status
        self.title = title or _phrase(status)
        self.type = type or "about:blank"
        self.errors = tuple(_shortened(error) for error in errors)
        self.headers = dict(headers or {})

    def __str__(self) -> str:
        return f"{self.code} {self.title}" + (f": {self.description}" if self.description else "")

    def as_dict(self) -> dict[str, Any]:
        """The members of the problem document; those without a value are left out."""
        members: dict[str, Any] = {
            "type": self.type,
            "title": self.title,
            "status": self.code,
            "detail": self.description,
            "instance": request.path if has_request_context() else None,
            "trace_id": current_trace_id(),
            "errors": list(self.errors),
        }
        return {name: value for name, value in members.items() if value not in (None, [])}

    def get_response(self, environ: Any = None, scope: Any = None) -> Response:
        """The problem as a response, also where no `install` was called."""
        response = Response(
            json.dumps(self.as_dict(), ensure_ascii=False) + "\n", self.code, content_type=CONTENT_TYPE
        )
        response.headers.set("Cache-Control", "no-store")
        for name, value in self.headers.items():
            response.headers.set(name, value)
        return response


def install(app: Flask) -> None:
    """Answer every error of `app` as a problem. Calling it again changes nothing.

    A handler that the application registers for a narrower exception still wins.
    """
    if "problems" in app.extensions:
        return
    app.extensions["problems"] = True
    framing.install(app)
    app.register_error_handler(HTTPException, _answer)
    app.before_request(functools.partial(_adopt_restful, app))
    vars(app)["raise_routing_exception"] = functools.partial(_without_host, app.raise_routing_exception)


def from_http_exception(error: HTTPException) -> Problem:
    """The problem of a werkzeug error: its status, its own headers (Allow, WWW-Authenticate, ...)."""
    if isinstance(error, Problem):
        return error
    status = error.code or 500
    headers = {
        name: value
        for name, value in error.get_headers(request.environ if has_request_context() else None)
        if name.lower() not in ("content-type", "content-length")
    }
    errors = _argument_errors(getattr(error, "data", None))
    detail = _detail(error, errors)
    return Problem(status, None, detail, errors=errors, headers=headers)


def _answer(error: HTTPException) -> WerkzeugResponse:
    # A redirect of the router, and an exception that carries its whole response, are no errors.
    if error.response is not None or (error.code or 500) < 400:
        return error.get_response(request.environ)
    return from_http_exception(error).get_response()


def _without_host(raise_exception: Callable[[Request], Any], asked: Request) -> Any:
    """The router's redirect to a path alone: the Host header that it copies is whatever the client wrote."""
    error = asked.routing_exception
    if isinstance(error, RequestRedirect):
        target = urlsplit(error.new_url)
        # One slash in front: two would name another host.
        error.new_url = "/" + target.path.lstrip("/") + (f"?{target.query}" if target.query else "")
    return raise_exception(asked)


def _detail(error: HTTPException, errors: list[dict[str, Any]]) -> str | None:
    if errors:
        return "; ".join(f"{found['field']}: {found['detail']}" for found in errors)
    data = getattr(error, "data", None)
    if isinstance(data, Mapping) and isinstance(data.get("message"), str):
        return str(data["message"])
    if error.code == 404 and error.description == type(error).description:
        return f"Nothing is at {request.path}." if has_request_context() else None
    return error.description


def _argument_errors(data: Any) -> list[dict[str, Any]]:
    """What `reqparse` found, which it attaches as `{"message": {"argument": "why"}}`."""
    message = data.get("message") if isinstance(data, Mapping) else None
    if not isinstance(message, Mapping):
        return []
    return [
        {"field": str(field), "value": _given(request, str(field)), "detail": str(detail)}
        for field, detail in message.items()
    ]


def _given(of: Request, field: str) -> Any:
    body = of.get_json(silent=True) if of.is_json else None
    fallback = body.get(field) if isinstance(body, dict) else None
    return of.args.get(field, of.form.get(field, fallback))


def _shortened(error: Mapping[str, Any]) -> dict[str, Any]:
    value = error.get("value")
    shown = value if value is None or isinstance(value, (bool, int, float)) else str(value)
    if isinstance(shown, str) and len(shown) > MAX_SHOWN:
        shown = shown[:MAX_SHOWN] + "…"
    if isinstance(shown, int) and shown.bit_length() > 4 * MAX_SHOWN:
        shown = f"a number of {shown.bit_length()} bits"
    return {**error, "value": shown}


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _adopt_restful(app: Flask) -> None:
    """Let the errors of Flask-RESTful resources reach the application's handlers.

    `Api` wraps the application's handlers when it is made, before or after `install`, and renders errors
    itself. It falls back to the application's when its own `handle_error` raises: so let it raise. The
    wrapping is undone by looking at it at the first request, when every `Api` exists.
    """
    if app.extensions["problems"] == "adopted":
        return
    app.extensions["problems"] = "adopted"
    handler: Any = app.handle_user_exception
    while handler is not None:
        if isinstance(handler, functools.partial) and handler.func.__name__ == "error_router":
            api: Any = handler.func.__self__  # type: ignore[attr-defined]
            api.handle_error = _reraise
            # To see whether a route is its own it asks the router again, which may answer by a redirect: an
            # exception within the handling of one, and an empty 500 for `POST /cars//x`.
            api._has_fr_route = _false
            handler = handler.args[0]
        else:
            handler = getattr(handler, "__wrapped__", None)


def _false() -> bool:
    return False


def _reraise(error: Exception) -> Any:
    raise error
