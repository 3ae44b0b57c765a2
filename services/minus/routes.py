"""The HTTP face of `minus`: one resource, its parameters, and the service's OpenAPI document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask, request
from flask_restful import Api, reqparse  # type: ignore[import-untyped]
from werkzeug.exceptions import BadRequest

from observability import problems
from services.minus.catalogue import integer, minus
from services.rest.resources import Face, serve_document

PARAMETERS = ("x", "y")
SHOWN = 80
"""Characters of a refused value that an answer quotes."""


def install(app: Flask) -> None:
    """Add the routes to `app`."""
    api = Api(app)
    api.add_resource(Minus, "/minus", endpoint="minus")
    serve_document(api, Path(__file__).parent)


class Minus(Face):
    """`GET /minus?x=5&y=3` answers `{"result": 2}`."""

    def get(self) -> tuple[dict[str, int], int, dict[str, str]]:
        numbers = _arguments()
        # The same question always has the same answer, so any cache may keep it.
        return {"result": minus(numbers["x"], numbers["y"])}, 200, {"Cache-Control": "public, max-age=3600"}


def _arguments() -> dict[str, int]:
    """x and y of the current request. Raises a 400 problem that names every parameter at fault."""
    parser = reqparse.RequestParser(bundle_errors=True)
    for name in PARAMETERS:
        # location: reqparse would otherwise read the JSON body and answer 415 to a plain GET.
        # append: reqparse would otherwise take the first of several values and say nothing.
        parser.add_argument(name, type=integer, required=True, location="args", action="append")
    complaints = [
        _error(name, "unknown parameter: give x and y") for name in request.args if name not in PARAMETERS
    ]
    complaints += [
        _error(name, "given more than once: give it once")
        for name in PARAMETERS
        if len(request.args.getlist(name)) > 1
    ]
    try:
        values = parser.parse_args()
    except BadRequest as error:
        complaints += [_error(name, text) for name, text in _found(error).items()]
    if complaints:
        raise _refusal(complaints)
    return {name: values[name][0] for name in PARAMETERS}


def _found(error: BadRequest) -> dict[str, str]:
    """What reqparse says of each argument, in the place where Flask-RESTful puts it."""
    return dict(error.data["message"])  # type: ignore[attr-defined]


def _error(name: str, detail: str) -> dict[str, Any]:
    values = request.args.getlist(name)
    shown = values[0] if len(values) == 1 else values or None
    if isinstance(shown, str) and len(shown) > SHOWN:
        shown = shown[:SHOWN] + "…"
    return {"field": name, "value": shown, "detail": detail}


def _refusal(errors: list[dict[str, Any]]) -> problems.Problem:
    detail = "; ".join(f"{error['field']}: {error['detail']}" for error in errors)
    return problems.Problem(400, "The parameters cannot be used", detail, errors=errors)
