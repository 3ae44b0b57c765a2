"""The HTTP face of `dealer`: what it said of an order, and the service's OpenAPI document."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from flask import Flask, Response, current_app, request
from flask_restful import Api, Resource  # type: ignore[import-untyped]

from observability.problems import Problem
from services.dealer.catalogue import Unavailable
from services.dealer.store import Store


def install(app: Flask, store: Store) -> None:
    """Add the routes to `app`."""
    api = Api(app)
    address = "/confirmations/<string:order>"
    api.add_resource(Confirmation, address, endpoint="confirmation", resource_class_kwargs={"store": store})
    openapi = {"document": functools.cache(_openapi)}
    api.add_resource(Document, "/openapi.json", endpoint="openapi", resource_class_kwargs=openapi)


class Face(Resource):  # type: ignore[misc]  # Flask-RESTful carries no types
    """A resource that takes no parameters, and answers OPTIONS with 204 and its Allow header."""

    def dispatch_request(self, *args: Any, **kwargs: Any) -> Any:
        if name := next(iter(request.args), None):
            raise Problem(400, "The parameters cannot be used", f"{name[:80]}: there are no parameters here.")
        return super().dispatch_request(*args, **kwargs)

    def options(self, **_: Any) -> Response:
        response = current_app.make_default_options_response()
        response.status_code = 204
        del response.headers["Content-Type"]
        return response


class Confirmation(Face):
    """What the dealer says of an order now: granted, refused or withdrawn."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get(self, order: str) -> Any:
        try:
            answer = self.store.find(order)
        except Unavailable as error:
            current_app.logger.error("the answers are unavailable: %s", error)
            remedy = "What was said cannot be read right now. Ask again in a moment."
            raise Problem(503, "Answers are unavailable", remedy, headers={"Retry-After": "2"}) from error
        if answer is None:
            raise Problem(404, "Not found", f"Nothing was said of an order {order[:80]}.")
        document = {"order": order, "state": answer.state, "reason": answer.reason or None}
        return document, 200, {"Cache-Control": "no-store"}


class Document(Face):
    """The service's OpenAPI document."""

    def __init__(self, document: Callable[[], Any]) -> None:
        self.document = document

    def get(self) -> Any:
        return self.document(), 200, {"Cache-Control": "public, max-age=300"}


def _openapi() -> Any:
    return yaml.safe_load(Path(__file__).with_name("openapi.yaml").read_text(encoding="utf-8"))
