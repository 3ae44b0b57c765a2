"""`/parts`: the programs of the stack; each can be stopped, started and restarted, as by `dashcam`."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, redirect, request, url_for

from dashcam.console.app import console
from dashcam.console.guarded_form import foreign, message, page
from dashcam.console.parts import CannotSwitch

COOKIE = "dashcam_parts"
WAYS = ("stop", "start", "restart")


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/parts", view_func=parts)
    blueprint.add_url_rule("/parts", view_func=switch_part, methods=["POST"])


def parts() -> tuple[Response, int]:
    """The page."""
    stack = console().parts
    if stack is None:
        return message("No parts here", "This console is not one of `make up`: it started nothing.", 404)
    try:
        known = stack.all()
    except CannotSwitch as error:
        return message("The parts are not known", str(error), 503)
    return page("console/parts.html", COOKIE, url_for("console.parts"), parts=known, own=stack.own), 200


def switch_part() -> tuple[Response, int] | Response:
    """Stop, start or restart the part `name`; then the page again."""
    stack = console().parts
    if stack is None or (why := foreign(COOKIE)):
        return message("Not done", why if stack else "Nothing can be started or stopped here.", 403)
    name, to = request.form.get("name", ""), request.form.get("to", "")
    if to not in WAYS:
        return message("Not done", f"A part is stopped, started or restarted, not {to[:40]!r}.", 400)
    if name == stack.own:
        return message("Not done", f"This page is of {name}: use `dashcam {to} {name}`.", 400)
    try:
        if to != "start":
            stack.stop(name)
        if to != "stop":
            stack.start(name)
    except CannotSwitch as error:
        return message("Not done", str(error), 409)
    response: Response = make_response(redirect(url_for("console.parts"), 303))
    return response
