"""The resources of `orders`: placing an order, and looking at one."""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from flask import Flask, Response, request
from flask_restful import Api  # type: ignore[import-untyped]

from observability.problems import Problem
from services.messages.tracing import current_headers, trace_of
from services.orders import catalogue
from services.orders.catalogue import Conflict, Missing, Order, OrderError
from services.orders.sagas import LEASE
from services.rest.resources import PlainFace, serve_document

logger = logging.getLogger(__name__)

SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
KEY = re.compile(r"[!-~]{1,200}")
"""What an Idempotency-Key may be: up to 200 visible characters of ASCII."""
FIELDS = ("maker", "model", "discount")


class Kept(Protocol):
    """Where orders are kept. Raises OrderError."""

    def place(self, order: Order, key: str | None, headers: Mapping[str, str]) -> tuple[Order, bool]:
        """Keep a new order, or return the one that has this key; and whether it is new."""

    def find(self, order: str) -> Order:
        """The order as it is now."""

    def headers(self, order: str) -> Mapping[str, str]:
        """What carries the trace in which it was placed."""


class Ordering(Protocol):
    """What the routes stand before: the sagas, or whatever else decides orders."""

    @property
    def store(self) -> Kept:
        """Where its orders are."""

    def advance(self, order: str) -> Order:
        """Go on with this order as far as it comes at once."""


def install(app: Flask, sagas: Ordering) -> None:
    """Add the routes to `app`."""
    api = Api(app)
    given = {"sagas": sagas}
    api.add_resource(Orders, "/orders", endpoint="orders", resource_class_kwargs=given)
    api.add_resource(OneOrder, "/orders/<string:order>", endpoint="order", resource_class_kwargs=given)
    serve_document(api, Path(__file__).parent)


class OrdersFace(PlainFace):
    """A resource that turns the domain's errors into problems."""

    def dispatch_request(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().dispatch_request(*args, **kwargs)
        except OrderError as error:
            raise _problem(error) from error


class Orders(OrdersFace):
    """All orders."""

    def __init__(self, sagas: Ordering) -> None:
        self.sagas = sagas

    def post(self) -> Response:
        key = request.headers.get("Idempotency-Key")
        if key is not None and not KEY.fullmatch(key):
            raise Problem(400, "Bad Idempotency-Key", "Give 1 to 200 visible characters of ASCII.")
        now = time.time()
        # Until this request has done what it can, nobody else need try.
        order = replace(catalogue.placed(uuid.uuid4().hex, *_read(), now=now), due=now + LEASE)
        headers = current_headers()
        order, new = self.sagas.store.place(order, key, headers)
        if not new:
            return _answer(order, trace_of(self.sagas.store.headers(order.id)))
        return _answer(self._begun(order), trace_of(headers), 202)

    def _begun(self, order: Order) -> Order:
        """The order, as far as it comes at once. It is stored: what goes wrong now is tried again later."""
        try:
            return self.sagas.advance(order.id)
        except OrderError as error:
            logger.warning("order %s waits: %s", order.id, error, extra={"order.id": order.id})
            return order


class OneOrder(OrdersFace):
    """One order."""

    def __init__(self, sagas: Ordering) -> None:
        self.sagas = sagas

    def get(self, order: str) -> Response:
        found = self.sagas.store.find(order)
        return _answer(found, trace_of(self.sagas.store.headers(order)))


def _read() -> tuple[str, str, int]:
    """Maker, model and discount of the request. Raises a problem that names every field at fault."""
    if not request.is_json:
        detail = f"The Content-Type is {request.content_type or 'none'}: send JSON as application/json."
        raise Problem(415, "Unsupported media type", detail, headers={"Accept": "application/json"})
    try:
        given = json.loads(request.get_data(cache=False))
    except (ValueError, RecursionError) as error:
        raise Problem(400, "The body is not JSON", f"The body cannot be read as JSON: {error}.") from None
    if not isinstance(given, dict):
        given = {"body": given}
    errors = [
        {"field": name, "value": given.get(name), "detail": "give lower case, digits, single hyphens between"}
        for name in ("maker", "model")
        if not _is_slug(given.get(name))
    ]
    discount = given.get("discount", 0)
    if (
        not isinstance(discount, int)
        or isinstance(discount, bool)
        or not 0 <= discount <= catalogue.MAX_DISCOUNT
    ):
        detail = f"give a whole number from 0 to {catalogue.MAX_DISCOUNT}"
        errors.append({"field": "discount", "value": discount, "detail": detail})
    unknown = f"unknown field: give {', '.join(FIELDS)}"
    errors += [{"field": name, "value": given[name], "detail": unknown} for name in given.keys() - {*FIELDS}]
    if errors:
        told = "; ".join(f"{str(error['field'])[:80]}: {error['detail']}" for error in errors)
        raise Problem(422, "The request breaks the rules", told, errors=errors)
    return given["maker"], given["model"], discount


def _is_slug(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= catalogue.MAX_SLUG and SLUG.fullmatch(value) is not None


def _answer(order: Order, trace: str, status: int = 200) -> Response:
    document = {**_document(order), "trace_id": trace or None}
    body = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    response = Response(body, status, content_type="application/json")
    response.headers["Location"] = f"/orders/{order.id}"
    response.set_etag(hashlib.sha256(body).hexdigest()[:32])
    response.headers["Cache-Control"] = "private, no-cache"
    if request.method in ("GET", "HEAD"):
        del response.headers["Location"]
        response.make_conditional(request)
    return response


def _document(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "maker": order.maker,
        "model": order.model,
        "discount": order.discount,
        "price": order.price,
        "currency": order.currency or None,
        "state": order.state,
        "reason": order.reason or None,
        "placed": _time(order.placed),
        "decided": None if order.decided is None else _time(order.decided),
        "steps": [{"state": state, "at": _time(at)} for state, at in order.steps],
        "links": {"self": f"/orders/{order.id}"},
    }


def _time(seconds: float) -> str:
    return (
        datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")[:23] + "Z"
    )


def _problem(error: OrderError) -> Problem:
    match error:
        case Missing():
            return Problem(404, "Not found", str(error))
        case Conflict():
            return Problem(409, "The key is taken", str(error))
        case _:
            logger.error("the orders are unavailable: %s", error)
            remedy = "Orders cannot be read or placed right now. Ask again in a moment."
            return Problem(503, "Orders are unavailable", remedy, headers={"Retry-After": "2"})
