"""The addresses of `web`: the catalogue, a car, and the forms that add, change and delete one.

A form posts to its own address and a success redirects, so that reloading a page repeats nothing. Nouns
below a car (`/edition`, `/deletion`) stand in for the methods that HTML forms do not have; the form for a
new car stands outside of `/cars`, where no maker's or model's name can be hidden by it.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, cast

import yaml
from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    flash,
    jsonify,
    redirect,
    request,
    url_for,
)
from flask_wtf.csrf import CSRFError  # type: ignore[import-untyped]  # Flask-WTF carries no types
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from services.web.asking import Changed, Exists, NotFound, Rejected, ServiceError
from services.web.catalogue import PAGE_SIZE, Car, Pager, Quote, differences
from services.web.clients import CarClient, Versioned
from services.web.errors import Complaints, page_of_failure, shown
from services.web.forms import CarForm, FilterForm, QuoteForm, complain

EXTENSION = "dashcam-car"
"""Where `app.extensions` keeps the client of `car`."""

OPENAPI_SECONDS = 300

log = logging.getLogger(__name__)
pages = Blueprint("pages", __name__)


def install(app: Flask, car: CarClient) -> None:
    """Add the pages to `app`; they ask `car`. The OpenAPI document is read here, once."""
    document = yaml.safe_load(Path(__file__).with_name("openapi.yaml").read_text(encoding="utf-8"))
    app.extensions[EXTENSION] = car
    app.register_blueprint(pages)

    @app.get("/openapi.json")
    def openapi() -> Response:
        response = jsonify(document)
        response.headers["Cache-Control"] = f"public, max-age={OPENAPI_SECONDS}"
        return response


def car_client() -> CarClient:
    """The client of `car` of the application that serves this request."""
    return cast(CarClient, current_app.extensions[EXTENSION])


@pages.get("/")
def home() -> AnyResponse:
    """The catalogue is what one comes for."""
    return redirect(url_for("pages.cars"))


@pages.get("/hello")
def hello() -> str:
    """The plainest page there is: it shows that `web` itself works."""
    return "<h1>Hello World!</h1>"


@pages.get("/cars")
def cars() -> Response:
    """The catalogue, filtered, sorted and paged."""
    form = FilterForm(request.args)
    form.offer(())
    if not form.validate():
        return shown("catalogue.html", 400, form=form)
    paging = {"limit": str(PAGE_SIZE)}
    if cursor := request.args.get("cursor"):
        paging["cursor"] = cursor
    try:
        listing = car_client().cars({**form.filters(), **paging})
    except Rejected as error:
        return shown("catalogue.html", 400, complain(form, error.errors) or _unplaced(error), form=form)
    form.offer(listing.makers)
    pager = Pager(
        number=max(request.args.get("page", 1, type=int), 1) if cursor else 1,
        cursor=cursor or "",
        trail=tuple(request.args.getlist("back")),
        next_cursor=listing.next_cursor,
        total=listing.total,
    )
    return shown("catalogue.html", form=form, listing=listing, pager=pager)


@pages.get("/cars/<maker>")
def maker(maker: str) -> AnyResponse:
    """The cars of one maker are a view of the catalogue."""
    return redirect(url_for("pages.cars", maker=maker))


@pages.get("/cars/<maker>/<model>")
def car(maker: str, model: str) -> Response:
    """One car, and with `?discount=` its quote; where there is none, the car is shown all the same."""
    found = car_client().car(maker, model).car
    form = QuoteForm(request.args)
    quote, note, status = None, None, 200
    if "discount" in request.args:
        quote, note, status = _quote(found, form)
    return shown("car.html", status, form=form, car=found, quote=quote, note=note)


@pages.route("/new-car", methods=["GET", "POST"])
def new_car() -> AnyResponse:
    """The form for a new car, empty or as it was sent."""
    if request.method != "POST":
        return _new_car(CarForm())
    form = CarForm(request.form)
    if not form.validate():
        return _new_car(form, 422)
    try:
        made = car_client().create(form.car())
    except Rejected as error:
        return _new_car(form, 422, complain(form, error.errors) or _unplaced(error))
    except Exists:
        taken = url_for("pages.car", maker=form.maker.data, model=form.model.data)
        return _new_car(form, 409, taken=taken)
    except ServiceError as error:
        return _new_car(form, failure=error)
    flash(f"{made.name} is in the catalogue.")
    return redirect(url_for("pages.car", maker=made.maker, model=made.model), 303)


@pages.route("/cars/<maker>/<model>/edition", methods=["GET", "POST"])
def edition(maker: str, model: str) -> AnyResponse:
    """The form to change a car. A change of a version that is no longer the current one is never made."""
    if request.method != "POST":
        found = car_client().car(maker, model)
        return _edition(CarForm.of(found.car), maker, model, found.etag)
    form, etag = _sent(maker, model), request.form.get("etag", "")
    if not form.validate():
        return _edition(form, maker, model, etag, 422)
    try:
        made = car_client().replace(maker, model, form.car(), etag)
    except Rejected as error:
        return _edition(form, maker, model, etag, 422, complain(form, error.errors) or _unplaced(error))
    except (Changed, NotFound):
        return _changed(form, maker, model)
    except ServiceError as error:
        return _edition(form, maker, model, etag, failure=error)
    flash(f"{made.name} is changed.")
    return redirect(url_for("pages.car", maker=maker, model=model), 303)


@pages.route("/cars/<maker>/<model>/deletion", methods=["GET", "POST"])
def deletion(maker: str, model: str) -> AnyResponse:
    """Asks before a car is deleted; what was changed meanwhile is shown and asked about again."""
    if request.method != "POST":
        return _deletion(car_client().car(maker, model))
    try:
        car_client().delete(maker, model, request.form.get("etag", ""))
    except Changed:
        return _deletion(car_client().car(maker, model), 409, changed=True)
    flash(f"{maker} {model} is deleted.")
    return redirect(url_for("pages.cars"), 303)


@pages.errorhandler(CSRFError)
def without_token(error: CSRFError) -> AnyResponse:
    """A form whose token is missing or stale comes back as it was typed, with a good token, to send again."""
    complaint = "For your safety this was not done: the session had ended. Check the form and send it again."
    key = request.view_args or {}
    if request.endpoint == "pages.new_car":
        return _new_car(CarForm(request.form), 400, [complaint])
    if request.endpoint == "pages.edition":
        form, etag = _sent(**key), request.form.get("etag", "")
        return _edition(form, **key, etag=etag, status=400, complaints=[complaint])
    try:
        return _deletion(car_client().car(**key), 400, [complaint])
    except ServiceError as failure:
        # Nothing handles what is raised while an error is handled.
        return page_of_failure(failure)


def _quote(car: Car, form: QuoteForm) -> tuple[Quote | None, str | None, int]:
    """The quote, or why there is none, and the status of the page."""
    if not form.validate():
        return None, None, 422
    try:
        return car_client().quote(car.maker, car.model, form.discount.data), None, 200
    except Rejected as error:
        form.discount.errors = [each.detail for each in error.errors] or [str(error)]
        return None, None, 422
    except ServiceError as error:
        log.warning("no quote for %s %s: %s", car.maker, car.model, error)
        return None, str(error), 200


def _sent(maker: str, model: str) -> CarForm:
    """The form of a change as it was sent. The key is the address's, whatever the form says."""
    return CarForm(MultiDict({**request.form.to_dict(), "maker": maker, "model": model}))


def _unplaced(error: Rejected) -> list[str]:
    """What to say above the form when no complaint is beside a field."""
    return [] if error.errors else [str(error)]


def _new_car(form: CarForm, status: int = 200, complaints: Complaints = (), **more: Any) -> Response:
    return shown("new-car.html", status, complaints, form=form, **more)


def _edition(
    form: CarForm,
    maker: str,
    model: str,
    etag: str,
    status: int = 200,
    complaints: Complaints = (),
    **more: Any,
) -> Response:
    more |= {"maker": maker, "model": model, "etag": etag}
    return shown("edition.html", status, complaints, form=form, **more)


def _changed(form: CarForm, maker: str, model: str) -> Response:
    """Both versions of a car that was changed meanwhile, or the sender's own where it was deleted."""
    try:
        current = car_client().car(maker, model)
    except NotFound:
        return _new_car(form, 409, deleted=True)
    except ServiceError as error:
        return _edition(form, maker, model, request.form.get("etag", ""), failure=error)
    rows = differences(form.texts(), CarForm.of(current.car).texts())
    return _edition(form, maker, model, current.etag, 409, rows=rows)


def _deletion(found: Versioned, status: int = 200, complaints: Complaints = (), **more: Any) -> Response:
    return shown("deletion.html", status, complaints, car=found.car, etag=found.etag, **more)
