"""What every resource of `car` shares: preconditions, bodies, answers, and errors as problems."""

from __future__ import annotations

import hmac
import logging
from typing import Any, Literal

from flask import Response, current_app, request
from werkzeug.datastructures import ETags
from werkzeug.exceptions import RequestEntityTooLarge

from observability.problems import Problem
from services.car import catalogue, documents, fields
from services.car.catalogue import FieldError, Preconditions
from services.car.clients import MinusError, Wrong
from services.rest.resources import Face

logger = logging.getLogger(__name__)

REVALIDATE = "public, no-cache"
"""Caches may keep an answer, and must ask whether it still holds before they use it."""

ONE_MORE = 1
"""Bytes that MAX_CONTENT_LENGTH allows over the limit: werkzeug cuts a body without a Content-Length there
and says nothing, and half a document must not pass for a whole."""

CHANGES = frozenset({"POST", "PUT", "DELETE"})


class CarFace(Face):
    """A resource that turns the domain's errors into problems, and asks for the write token."""

    write_token: str | None = None

    def dispatch_request(self, *args: Any, **kwargs: Any) -> Any:
        if request.method in CHANGES:
            _authorise(self.write_token)
        _check_address(kwargs)
        try:
            return super().dispatch_request(*args, **kwargs)
        except catalogue.CatalogueError as error:
            raise problem_of(error) from error


def problem_of(error: catalogue.CatalogueError) -> Problem:
    """The problem that tells a client of `error`."""
    detail = str(error)
    match error:
        case catalogue.BadQuery():
            return Problem(400, "The parameters cannot be used", detail, errors=_listed(error.errors))
        case catalogue.Invalid():
            return Problem(422, "The request breaks the rules", detail, errors=_listed(error.errors))
        case catalogue.Missing():
            return Problem(404, "Not found", detail)
        case catalogue.Duplicate():
            return Problem(409, "Already there", detail)
        case catalogue.Conflict():
            return Problem(412, "The precondition does not hold", detail)
        case _:
            logger.error("the catalogue is unavailable: %s", detail)
            remedy = "The catalogue cannot be read or changed right now. Ask again in a moment."
            return Problem(503, "The catalogue is unavailable", remedy, headers={"Retry-After": "2"})


def problem_of_quote(error: MinusError) -> Problem:
    """The problem that tells a client why there is no quote; everything else goes on working."""
    logger.warning("no quote: %s", error)
    if isinstance(error, Wrong):
        detail = "The service minus, which works out a quote, gave an answer that cannot be used."
        return Problem(502, "No quote", detail)
    detail = "The service minus, which works out a quote, is away. Ask again in a moment."
    return Problem(503, "No quote now", detail, headers={"Retry-After": str(error.retry_after)})


def arguments() -> dict[str, list[str]]:
    """The query string of the current request, each parameter with all its values."""
    return dict(request.args.lists())


def body() -> Any:
    """The JSON document that the current request carries. Raises a 400, 413 or 415 problem."""
    if not request.is_json:
        given = request.content_type or "none"
        detail = f"The Content-Type is {given}: send JSON as application/json."
        # Accept says what would have been taken (RFC 9110, section 15.5.16).
        raise Problem(415, "Unsupported media type", detail, headers={"Accept": "application/json"})
    limit = current_app.config["MAX_CONTENT_LENGTH"] - ONE_MORE
    try:
        data = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise _too_large(limit) from None
    if len(data) > limit:
        raise _too_large(limit)
    try:
        return documents.load(data)
    except ValueError as error:
        raise Problem(400, "The body is not JSON", f"The body cannot be read as JSON: {error}.") from None


def _too_large(limit: int) -> Problem:
    return Problem(413, "Body too large", f"The body may have {limit} bytes: send less at once.")


def preconditions() -> Preconditions:
    """What the current request demands of the present state."""
    return Preconditions(_tags("If-Match", request.if_match), _tags("If-None-Match", request.if_none_match))


def answer(document: Any, tag: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """`document` with its entity tag; 304 where a reader has it already."""
    response = Response(documents.dump(document), status, content_type="application/json")
    response.headers.update(headers or {})
    response.set_etag(tag)
    response.headers["Cache-Control"] = REVALIDATE
    # Only the tag: there is no Last-Modified, and no ranges are served.
    if request.method in ("GET", "HEAD"):
        response.make_conditional(request)
    return response


def fresh(document: Any) -> Response:
    """`document` of this moment, which no cache is to keep."""
    response = Response(documents.dump(document), content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def empty() -> Response:
    """204: done, and nothing to say."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def _tags(name: str, tags: ETags) -> frozenset[str] | Literal["*"] | None:
    if name not in request.headers:
        return None
    # Strong comparison: a weak tag never matches where something is to be changed.
    return "*" if tags.star_tag else frozenset(tags.as_set())


def _authorise(token: str | None) -> None:
    if token is None:
        return
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given.strip():
        detail = "Changes need the write token: send Authorization: Bearer <token>."
        raise Problem(401, "Write token missing", detail, headers={"WWW-Authenticate": 'Bearer realm="car"'})
    if not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise Problem(403, "Write token refused", "The write token is not the one of this service.")


def _check_address(slugs: dict[str, str]) -> None:
    errors = [
        FieldError(name, fields.shown(slug), "no slug: lower case, digits and single hyphens between")
        for name, slug in slugs.items()
        if not catalogue.is_slug(slug)
    ]
    if errors:
        detail = "No car can have this address: " + "; ".join(f"{e.field}: {e.detail}" for e in errors) + "."
        raise Problem(404, "Not found", detail, errors=_listed(errors))


def _listed(errors: list[FieldError]) -> list[dict[str, Any]]:
    return [{"field": error.field, "value": error.value, "detail": error.detail} for error in errors]
