"""The HTTP face of `dealer`: what it said of an order, and the service's OpenAPI document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask, current_app
from flask_restful import Api  # type: ignore[import-untyped]

from observability.problems import Problem
from services.dealer.catalogue import Unavailable
from services.dealer.store import Store
from services.rest.resources import PlainFace, serve_document


def install(app: Flask, store: Store) -> None:
    """Add the routes to `app`."""
    api = Api(app)
    address = "/confirmations/<string:order>"
    api.add_resource(Confirmation, address, endpoint="confirmation", resource_class_kwargs={"store": store})
    serve_document(api, Path(__file__).parent)


class Confirmation(PlainFace):
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
