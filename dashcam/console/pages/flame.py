"""`/flame` and `/trace/{id}/flame`: where the time of an operation, or of one trace, went."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request, url_for
from werkzeug.exceptions import NotFound

from dashcam.console import flame, parameters
from dashcam.console.app import console
from dashcam.console.filters import colours
from dashcam.console.pages import search
from dashcam.sources import SourceError, Trace

ROWS = 20
"""Frames that the table lists."""


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/flame", view_func=flames)
    blueprint.add_url_rule("/trace/<trace_id>/flame", view_func=flame_of_trace)


def flames() -> str:
    """The page of the traces that the search's form finds; of an operation, what lies below it."""
    form = search.Form.read(request.args)
    traces, error = search.whole_traces(form)
    root = flame.grow(traces, form.service, form.operation)
    return _page(root, traces, error, form, dict(form.params()), "console.flames")


def flame_of_trace(trace_id: str) -> str:
    """The page of one trace."""
    trace_id = parameters.trace_id(trace_id)
    found = console().trace(trace_id)
    if found is None or not found.spans:
        raise NotFound(f"Trace {trace_id} is not in the store.")
    return _page(flame.grow([found]), [found], None, None, {"trace_id": trace_id}, "console.flame_of_trace")


def _page(
    root: flame.Frame,
    traces: list[Trace],
    error: SourceError | None,
    form: search.Form | None,
    params: dict[str, Any],
    endpoint: str,
) -> str:
    drawing = flame.draw(root, request.args.get("at", ""))
    return render_template(
        "console/flame.html",
        drawing=drawing,
        root=root,
        traces=traces,
        error=error,
        form=form,
        rows=ROWS,
        row_height=flame.ROW,
        trace_id=params.get("trace_id"),
        here=lambda **changes: url_for(endpoint, **{**params, **changes}),
        colours=colours(service for trace in traces for service in trace.services),
    )
