"""`/faults`: the fault switches of a stack that allows them, as `dashcam fault` has them."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, make_response, redirect, request, url_for

from dashcam.console.app import console
from dashcam.console.guarded_form import foreign, message, page
from dashcam.sources.switches import BadFlags, Switches, UnknownFault

COOKIE = "dashcam_faults"


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/faults", view_func=faults)
    blueprint.add_url_rule("/faults", view_func=switch, methods=["POST"])


def faults() -> tuple[Response, int]:
    """The page: every fault and whether it is on."""
    switches = _switches()
    if switches is None:
        return message(
            "No faults here",
            "DASHCAM_FAULTS_FILE is not set for this console, so no fault can be switched from it. "
            "`make up` sets it, production does not.",
            404,
        )
    try:
        known = switches.all()
    except (BadFlags, OSError) as error:
        return message("The file of faults cannot be used", str(error), 500)
    response = page(
        "console/faults.html", COOKIE, url_for("console.faults"), faults=known, file=switches.path
    )
    return response, 200


def switch() -> tuple[Response, int] | Response:
    """Switch the fault `name` to `on` or `off`, or all of them `off`; then the page again."""
    switches = _switches()
    if switches is None or (why := foreign(COOKIE)):
        return message("Not switched", why if switches else "No fault can be switched here.", 403)
    name, to = request.form.get("name", ""), request.form.get("to", "")
    if to not in ("on", "off") or (to == "on" and not name):
        return message("Not switched", f"A fault is switched on or off, not {to[:40]!r}.", 400)
    try:
        if name:
            switches.set(name, to == "on")
        else:
            switches.all_off()
    except UnknownFault as error:
        return message("Not switched", str(error), 404)
    except (BadFlags, OSError) as error:
        return message("The file of faults cannot be used", str(error), 500)
    response: Response = make_response(redirect(url_for("console.faults"), 303))
    return response


def _switches() -> Switches | None:
    file = console().faults.file
    return Switches(Path(file).absolute()) if file else None
