"""Puts the request path around an application: in Python, or compiled."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from observability.http import exceptions, speedups
from observability.http.incoming import Incoming, Parts, dispatched, torn_down


def install(app: Flask, parts: Parts, compiled: bool) -> Callable[[], None]:
    """Instrument `app`; call it once its extensions exist. Answers the function that undoes it."""
    inner = app.wsgi_app
    layer, around, after = speedups.incoming() if compiled else (Incoming, dispatched, torn_down)
    app.wsgi_app = layer(inner, parts)  # type: ignore[method-assign]
    # Called once the route is matched, before the first `before_request` function: what that answers itself
    # is a request too.
    undispatched = exceptions.replace(app, "full_dispatch_request", around)
    untorn = exceptions.replace(app, "do_teardown_request", after)
    watched = exceptions.watch(app)

    def undo() -> None:
        watched()
        untorn()
        undispatched()
        app.wsgi_app = inner  # type: ignore[method-assign]

    return undo
