"""`/saved`: searches under a name, and traces that stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import Blueprint, Response, make_response, redirect, request, url_for

from dashcam.console import parameters
from dashcam.console.app import console
from dashcam.console.guarded_form import foreign, message, page
from dashcam.console.kept import CannotKeep, Kept, Pin, Search

COOKIE = "dashcam_saved"


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/saved", view_func=saved)
    blueprint.add_url_rule("/saved", view_func=change_saved, methods=["POST"])


def saved() -> tuple[Response, int]:
    """The page; `save=` an address and `pin=` a trace put a form on top that keeps it."""
    kept = console().kept
    if kept is None:
        return message("Nothing is saved here", "DASHCAM_CONSOLE_KEPT names no folder to keep it in.", 404)
    pin = request.args.get("pin", "")
    try:
        found = {"searches": kept.searches(), "pins": kept.pins()}
    except (CannotKeep, OSError) as error:
        return message("What was saved cannot be read", str(error), 500)
    return page(
        "console/saved.html",
        COOKIE,
        url_for("console.saved"),
        save=request.args.get("save", "")[:4000],
        pin=parameters.trace_id(pin) if pin else "",
        now=parameters.now(),
        **found,
    ), 200


def change_saved() -> tuple[Response, int] | Response:
    """Save or forget a search, pin or unpin a trace; then the page again."""
    kept = console().kept
    if kept is None or (why := foreign(COOKIE)):
        return message("Not done", why if kept else "Nothing can be saved here.", 403)
    form = request.form
    ways: Mapping[str, Callable[[], None]] = {
        "save": lambda: kept.save(Search(form.get("name", ""), form.get("address", ""), parameters.now())),
        "forget": lambda: kept.forget(form.get("name", "")),
        "pin": lambda: _pin(kept, parameters.trace_id(form.get("trace", ""))),
        "unpin": lambda: kept.unpin(parameters.trace_id(form.get("trace", ""))),
    }
    to = form.get("to", "")
    if to not in ways:
        return message("Not done", f"Give save, forget, pin or unpin, not {to[:40]!r}.", 400)
    try:
        ways[to]()
    except CannotKeep as error:
        return message("Not done", str(error), 409)
    except OSError as error:
        return message("Not done", f"It cannot be written: {error}", 500)
    response: Response = make_response(redirect(url_for("console.saved"), 303))
    return response


def _pin(kept: Kept, trace_id: str) -> None:
    traces = console().sources.traces
    found, body = traces.trace(trace_id), traces.jaeger_json(trace_id)
    if found is None or found.root is None or body is None:
        raise CannotKeep(f"Trace {trace_id} is not in the store.")
    title = f"{found.root.service}: {found.root.operation}"[:200]
    kept.pin(Pin(trace_id, title, parameters.now()), body)
