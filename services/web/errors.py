"""Errors as pages: what happened, what to do, and the trace id to quote; as problems for programs.

A program that prefers JSON (`Accept: application/problem+json` or `application/json`) gets the RFC 9457
problem that the other services give. An unexpected exception becomes the 500 page by Flask's own way, which
logs it and tells the instrumentation; no page ever shows a stack trace.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, make_response, render_template, request
from werkzeug.exceptions import HTTPException
from wtforms import Form

from observability import problems
from observability.http import framing
from services.web.asking import ServiceError
from services.web.fields import typed

RETRY_AFTER = "5"
"""Seconds after which a browser may come again when `car` is away and names no time of its own."""

Complaints = Sequence[str]
"""What is wrong with a request as a whole, beside what is wrong with its fields."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Advice:
    """What a page says about a status: a heading, what happened, and what to do."""

    title: str
    happened: str
    remedy: str


ADVICE = {
    400: Advice(
        "That request does not add up",
        "The address or the form holds something that cannot be used.",
        "Go back, check what was entered, and send it again.",
    ),
    404: Advice(
        "There is nothing here",
        "No page answers this address, or the car it names is not in the catalogue.",
        "Check the address, or look for the car in the catalogue.",
    ),
    405: Advice(
        "That cannot be done here",
        "This page does not take that kind of request.",
        "Start from the catalogue and use the links and forms of the pages.",
    ),
    409: Advice(
        "Two changes met",
        "What you want to change is not what it was when you read it, or it exists already.",
        "Read it again and repeat your change on what you find.",
    ),
    412: Advice(
        "It changed meanwhile",
        "Somebody changed or deleted the car after you opened it. Nothing was overwritten.",
        "Open the car again and repeat your change on what you find.",
    ),
    413: Advice(
        "That is too much",
        "The form holds more text than the catalogue takes.",
        "Go back, shorten the text, and send it again.",
    ),
    422: Advice(
        "The catalogue does not take that",
        "The request was understood, but a value in it cannot be used.",
        "Go back, correct the value, and send it again.",
    ),
    429: Advice(
        "Too many requests",
        "The catalogue asks for a pause.",
        "Wait a few seconds, then load the page again.",
    ),
    500: Advice(
        "Something broke on our side",
        "This page failed in a way that was not foreseen. It has been recorded.",
        "Try again. If it fails again, quote the trace id below: it leads to what went wrong.",
    ),
    502: Advice(
        "The catalogue gave no sensible answer",
        "The service behind this page answered in a way that cannot be shown.",
        "Try again. If it fails again, quote the trace id below: it leads to what went wrong.",
    ),
    503: Advice(
        "The catalogue is away",
        "The service that keeps the cars cannot be reached at the moment.",
        "Wait a few seconds, then load the page again. If it stays away, quote the trace id below.",
    ),
    504: Advice(
        "The catalogue is too slow",
        "The service that keeps the cars gave no answer in time.",
        "Wait a few seconds, then load the page again. If it stays slow, quote the trace id below.",
    ),
}
"""What the pages say, by status."""

ORDERS_ADVICE = {
    404: Advice(
        "There is no such order",
        "No order has this number.",
        "Check the address, or order a car from its page.",
    ),
    502: Advice(
        "Orders gave no sensible answer",
        "The service that keeps the orders answered in a way that cannot be shown.",
        "Try again. If it fails again, quote the trace id below: it leads to what went wrong.",
    ),
    503: Advice(
        "Orders are away",
        "The service that keeps the orders cannot be reached at the moment. The catalogue is not concerned, "
        "and an order that was placed goes on.",
        "Wait a few seconds, then load the page again. If it stays away, quote the trace id below.",
    ),
    504: Advice(
        "Orders are too slow",
        "The service that keeps the orders gave no answer in time.",
        "Wait a few seconds, then load the page again. If it stays slow, quote the trace id below.",
    ),
}
"""The same where it is `orders` that did not answer."""


def install(app: Flask) -> None:
    """Make every error of `app` a page, or a problem where the client prefers JSON."""
    framing.install(app)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(ServiceError, page_of_failure)


def advice(status: int, service: str = "") -> Advice:
    """What to say about a status, also about one that has no text of its own; of `service`, if it failed."""
    if service == "orders" and status in ORDERS_ADVICE:
        return ORDERS_ADVICE[status]
    if status in ADVICE:
        return ADVICE[status]
    return ADVICE[500] if status >= 500 else ADVICE[400]


def shown(
    template: str,
    status: int = 200,
    complaints: Complaints = (),
    *,
    form: Form | None = None,
    failure: ServiceError | None = None,
    **more: Any,
) -> Response:
    """The page of a template; where its status is an error and the client prefers JSON, the problem.

    After a `failure` of a service the page has its status, keeps all that was typed, and says what to do.
    """
    if failure is not None:
        log_failure(failure)
        status = failure.status
    if status >= 400 and prefers_json():
        of = failure.service if failure else ""
        return _problem(status, str(failure or " ".join(complaints)), retry_headers(failure), form, of)
    said = advice(status, failure.service) if failure else None
    page = render_template(template, complaints=complaints, form=form, failure=failure, advice=said, **more)
    return make_response(page, status, retry_headers(failure))


def log_failure(error: ServiceError) -> None:
    """Write what a service did not give, with what lies behind it, which no page tells."""
    if error.status >= 500:
        log.warning("%s gave no usable answer: %s", error.service, error.__cause__ or error)


def page_of_failure(error: ServiceError) -> Response:
    """The page of what a service did not give."""
    log_failure(error)
    return _respond(error.status, str(error), retry_headers(error), error.service)


def retry_headers(error: ServiceError | None) -> dict[str, str]:
    """When to come again, for the errors that pass."""
    passing = error is not None and error.status in (429, 503)
    return {"Retry-After": error.retry_after or RETRY_AFTER} if error and passing else {}


def _of_http(error: HTTPException) -> Response:
    if error.response is not None or (error.code or 500) < 400:
        # A redirect, or an exception that brought its whole response along.
        return make_response(error.get_response())
    status = error.code or 500
    headers = {
        name: value
        for name, value in error.get_headers()
        if name.lower() not in ("content-type", "content-length")
    }
    own_words = status < 500 and error.description != type(error).description
    return _respond(status, (error.description or "") if own_words else "", headers)


def _respond(status: int, detail: str, headers: dict[str, str], of: str = "") -> Response:
    if prefers_json():
        return _problem(status, detail, headers, of=of)
    # Only a question can be asked again by a link: a form would have to be sent again.
    again = request.full_path.removesuffix("?") if status >= 429 and request.method == "GET" else None
    page = render_template("error.html", status=status, advice=advice(status, of), detail=detail, again=again)
    return make_response(page, status, headers)


def _problem(
    status: int, detail: str, headers: dict[str, str], form: Form | None = None, of: str = ""
) -> Response:
    said = advice(status, of)
    errors = [
        {"field": field.name, "value": typed(field), "detail": " ".join(field.errors)}
        for field in form or ()
        if field.errors
    ]
    found = "; ".join(f"{error['field']}: {error['detail']}" for error in errors)
    problem = problems.Problem(
        status, said.title, detail or found or said.happened, errors=errors, headers=headers
    )
    return make_response(problem.get_response())


def prefers_json() -> bool:
    """True for a client that would rather have a problem than a page; `*/*` gets the page."""
    best = request.accept_mimetypes.best_match(
        ["text/html", "application/problem+json", "application/json"], default="text/html"
    )
    return best != "text/html"
