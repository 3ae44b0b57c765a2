"""What every resource of a REST service does, and the address of the service's OpenAPI document."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from flask import Response, current_app, request
from flask_restful import Api, Resource  # type: ignore[import-untyped]

from observability.problems import Problem


class Face(Resource):  # type: ignore[misc]  # Flask-RESTful carries no types
    """A resource that answers OPTIONS with 204 and its Allow header."""

    def options(self, **_: Any) -> Response:
        response = current_app.make_default_options_response()
        response.status_code = 204
        del response.headers["Content-Type"]
        return response


class PlainFace(Face):
    """A resource that takes no parameters."""

    def dispatch_request(self, *args: Any, **kwargs: Any) -> Any:
        if name := next(iter(request.args), None):
            raise Problem(400, "The parameters cannot be used", f"{name[:80]}: there are no parameters here.")
        return super().dispatch_request(*args, **kwargs)


class Document(PlainFace):
    """The service's OpenAPI document."""

    def __init__(self, document: Callable[[], Any]) -> None:
        self.document = document

    def get(self) -> Any:
        return self.document(), 200, {"Cache-Control": "public, max-age=300"}


def serve_document(api: Api, folder: Path, resource: type[Face] = Document) -> None:
    """Add `/openapi.json`: what `openapi.yaml` in `folder` says."""

    @functools.cache
    def document() -> Any:
        # A quarter of a second of parsing: done when it is asked for, and once.
        return yaml.safe_load((folder / "openapi.yaml").read_text(encoding="utf-8"))

    given = {"document": document}
    api.add_resource(resource, "/openapi.json", endpoint="openapi", resource_class_kwargs=given)
