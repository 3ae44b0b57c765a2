"""The pages of orders: the form at a car (`/cars/{maker}/{model}/order`), and an order with its steps."""

from __future__ import annotations

import secrets
from typing import Any, cast

from flask import Blueprint, Flask, Response, current_app, redirect, request, url_for
from flask_wtf.csrf import CSRFError  # type: ignore[import-untyped]  # Flask-WTF carries no types
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from services.web.asking import Exists, Rejected, ServiceError
from services.web.errors import Complaints, shown
from services.web.forms import OrderForm, complain
from services.web.orders import OrdersClient
from services.web.routes import car_client

EXTENSION = "dashcam-orders"
"""Where `app.extensions` keeps the client of `orders`."""

pages = Blueprint("orders", __name__)


def install(app: Flask, orders: OrdersClient) -> None:
    """Add the pages to `app`; they ask `orders`."""
    app.extensions[EXTENSION] = orders
    app.register_blueprint(pages)


def _client() -> OrdersClient:
    return cast(OrdersClient, current_app.extensions[EXTENSION])


@pages.route("/cars/<maker>/<model>/order", methods=["GET", "POST"])
def ordering(maker: str, model: str) -> AnyResponse:
    """The form to order a car, empty or as it was sent. Its key makes one order of two clicks."""
    if request.method != "POST":
        found = car_client().car(maker, model).car
        begun = MultiDict({"discount": request.args.get("discount", "0")})
        form = OrderForm(begun, key=secrets.token_hex(16))
        return _ordering(form, maker, model, car=found)
    form = OrderForm(request.form)
    if not form.validate():
        return _ordering(form, maker, model, 422)
    try:
        order = _client().place(maker, model, form.discount.data, str(form.key.data))
    except Rejected as error:
        homeless = complain(form, error.errors)
        return _ordering(form, maker, model, 422, homeless or ([] if error.errors else [str(error)]))
    except Exists:
        form.key.data = secrets.token_hex(16)
        said = "This form was sent before, with something else in it. Check it and send it again."
        return _ordering(form, maker, model, 409, [said])
    except ServiceError as error:
        return _ordering(form, maker, model, failure=error)
    return redirect(url_for("orders.order", order=order.id), 303)


@pages.get("/orders/<order>")
def order(order: str) -> Response:
    """An order and its steps; while it is undecided the page asks again by itself."""
    found = _client().order(order)
    return shown("order.html", order=found, steps=found.history)


@pages.errorhandler(CSRFError)
def without_token(error: CSRFError) -> AnyResponse:
    """A form whose token is missing or stale comes back as it was typed, with a good token."""
    complaint = "For your safety this was not done: the session had ended. Check the form and send it again."
    form = OrderForm(request.form)
    form.key.data = form.key.data or secrets.token_hex(16)
    return _ordering(form, **(request.view_args or {}), status=400, complaints=[complaint])


def _ordering(
    form: OrderForm,
    maker: str,
    model: str,
    status: int = 200,
    complaints: Complaints = (),
    **more: Any,
) -> Response:
    return shown("ordering.html", status, complaints, form=form, maker=maker, model=model, **more)
