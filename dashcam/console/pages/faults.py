"""`/faults`: the fault switches of a stack that allows them, as `dashcam fault` has them.

Everything else in the console only reads. What changes something here is a form with a token: the page sets
it as a cookie that other sites cannot send (SameSite) nor scripts read, and the form must bring the same. A
request whose browser says that it comes from another page is refused as well, and so is one under a name
that is not this machine's, which a page from elsewhere can give to 127.0.0.1.
"""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from dashcam.console.app import console
from dashcam.host_guard import is_local
from dashcam.sources.switches import BadFlags, Switches, UnknownFault

COOKIE = "dashcam_faults"


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/faults", view_func=faults)
    blueprint.add_url_rule("/faults", view_func=switch, methods=["POST"])


def faults() -> tuple[Response, int]:
    """The page: every fault and whether it is on."""
    switches = _switches()
    if switches is None:
        return _message(
            "No faults here",
            "DASHCAM_FAULTS_FILE is not set for this console, so no fault can be switched from it. "
            "`make up` sets it, production does not.",
            404,
        )
    try:
        known = switches.all()
    except (BadFlags, OSError) as error:
        return _message("The file of faults cannot be used", str(error), 500)
    token = request.cookies.get(COOKIE) or secrets.token_urlsafe(24)
    page = render_template("console/faults.html", faults=known, token=token, file=switches.path)
    response = make_response(page)
    response.set_cookie(COOKIE, token, path=url_for("console.faults"), httponly=True, samesite="Strict")
    return response, 200


def switch() -> tuple[Response, int] | Response:
    """Switch the fault `name` to `on` or `off`, or all of them `off`; then the page again."""
    switches = _switches()
    if switches is None or (why := _foreign()):
        return _message("Not switched", why if switches else "No fault can be switched here.", 403)
    name, to = request.form.get("name", ""), request.form.get("to", "")
    if to not in ("on", "off") or (to == "on" and not name):
        return _message("Not switched", f"A fault is switched on or off, not {to[:40]!r}.", 400)
    try:
        if name:
            switches.set(name, to == "on")
        else:
            switches.all_off()
    except UnknownFault as error:
        return _message("Not switched", str(error), 404)
    except (BadFlags, OSError) as error:
        return _message("The file of faults cannot be used", str(error), 500)
    response: Response = make_response(redirect(url_for("console.faults"), 303))
    return response


def _switches() -> Switches | None:
    file = console().faults.file
    return Switches(Path(file).absolute()) if file else None


def _foreign() -> str:
    """Why the request is not believed to come from the form of this page; empty where it is."""
    cookie, given = request.cookies.get(COOKIE, ""), request.form.get("token", "")
    if not cookie or not hmac.compare_digest(cookie.encode(), given.encode()):
        return "The form is not one of this page, or the browser keeps no cookies: open the page again."
    origin = request.headers.get("Origin")
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return "The form was sent by another page."
    if origin is not None and urlsplit(origin).netloc != request.host:
        return "The form was sent by another page."
    if not is_local(request.host):
        return f"{request.host} is not a name of this machine: use http://localhost."
    return ""


def _message(title: str, problem: str, status: int) -> tuple[Response, int]:
    return make_response(render_template("console/message.html", title=title, problem=problem)), status
