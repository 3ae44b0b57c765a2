"""Forms that change something: believed only from a page of this console, opened on this machine.

Everything else in the console only reads. The page sets a token as a cookie that other sites cannot send
(SameSite) nor scripts read, and the form must bring the same. A request whose browser says that it comes from
another page is refused as well, and so is one under a name that is not this machine's, which a page from
elsewhere can give to 127.0.0.1.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any
from urllib.parse import urlsplit

from flask import Response, make_response, render_template, request

from dashcam.host_guard import is_local


def page(template: str, cookie: str, path: str, **values: Any) -> Response:
    """The page of a template that has forms with `token`, whose cookie is sent to `path` alone."""
    token = request.cookies.get(cookie) or secrets.token_urlsafe(24)
    response = make_response(render_template(template, token=token, **values))
    response.set_cookie(cookie, token, path=path, httponly=True, samesite="Strict")
    return response


def foreign(cookie: str) -> str:
    """Why the request is not believed to come from the form of such a page; empty where it is."""
    kept, given = request.cookies.get(cookie, ""), request.form.get("token", "")
    if not kept or not hmac.compare_digest(kept.encode(), given.encode()):
        return "The form is not one of this page, or the browser keeps no cookies: open the page again."
    origin = request.headers.get("Origin")
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return "The form was sent by another page."
    if origin is not None and urlsplit(origin).netloc != request.host:
        return "The form was sent by another page."
    if not is_local(request.host):
        return f"{request.host} is not a name of this machine: use http://localhost."
    return ""


def message(title: str, problem: str, status: int) -> tuple[Response, int]:
    """A page that says what was not done, and why."""
    return make_response(render_template("console/message.html", title=title, problem=problem)), status
