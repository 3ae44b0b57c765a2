"""`/trace/{a}...{b}`: two traces side by side, under the address that Jaeger's UI has for it."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dashcam.console import parameters
from dashcam.console.app import console
from dashcam.console.comparison import ROWS
from dashcam.console.comparison import compare as matched
from dashcam.console.filters import colours


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/trace/<first>...<second>", view_func=compare)
    blueprint.add_url_rule("/compare", view_func=pair)


def pair() -> Response:
    """From two chosen results to their comparison."""
    chosen = request.args.getlist("id")
    if len(chosen) != 2:
        raise parameters.BadParameter("id", " ".join(chosen), "choose exactly two traces to compare.")
    first, second = (parameters.trace_id(one) for one in chosen)
    return redirect(url_for("console.compare", first=first, second=second))


def compare(first: str, second: str) -> str | tuple[str, int]:
    """The page."""
    ids = parameters.trace_id(first), parameters.trace_id(second)
    traces = console().sources.traces
    asked = console().gatherer.ask(first=lambda: traces.trace(ids[0]), second=lambda: traces.trace(ids[1]))
    for outcome in asked.values():
        if outcome.error:
            raise outcome.error
    one, other = asked["first"].value, asked["second"].value
    for found, wanted in ((one, ids[0]), (other, ids[1])):
        if found is None or not found.spans:
            return render_template(
                "console/no_trace.html", trace_id=wanted, lines=(), colours={}, length=0
            ), 404
    pairs = matched(one, other)
    return render_template(
        "console/compare.html",
        first=one,
        second=other,
        pairs=pairs[:ROWS],
        left_out=max(0, len(pairs) - ROWS),
        colours=colours({**one.services, **other.services}),
        scale=1000 / max(1, one.duration, other.duration),
    )
