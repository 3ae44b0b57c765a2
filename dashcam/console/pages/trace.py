"""`/trace/{id}`: a waterfall with the log lines of each span in place; its details and its downloads."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as BaseResponse

from dashcam.console import parameters, waterfall
from dashcam.console.app import console
from dashcam.console.filters import colours
from dashcam.console.gather import Outcome
from dashcam.console.weight import LENGTHS, PAGE, fitting, lines_weight, span_weight
from dashcam.sources import LogQuery, Trace

LINES = 100
"""Log lines of one trace that the page shows; the log search has the rest."""

OPERATIONS = 30
"""Operations of one trace that its page sums up."""


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/trace", view_func=jump)
    blueprint.add_url_rule("/trace/<trace_id>", view_func=trace)
    blueprint.add_url_rule("/trace/<trace_id>/find", view_func=find)
    blueprint.add_url_rule("/trace/<trace_id>/span/<span_id>", view_func=span)
    blueprint.add_url_rule("/trace/<trace_id>/download/<form>", view_func=trace_download)


def jump() -> BaseResponse:
    """From the header's field to the trace, or to a comparison where it names two."""
    wanted = request.args.get("id", "").strip()
    first, dots, second = wanted.partition("...")
    if dots:
        return redirect(
            url_for("console.compare", first=parameters.trace_id(first), second=parameters.trace_id(second))
        )
    return redirect(url_for("console.trace", trace_id=parameters.trace_id(wanted)))


def trace(trace_id: str) -> str | tuple[str, int]:
    """The page of one trace."""
    trace_id = parameters.trace_id(trace_id)
    first = parameters.number(request.args, "first", 0, 0, 10_000_000)
    only, text = _narrowing()
    found, logs = _ask(trace_id)
    page = logs.or_else(None)
    lines = page.lines if page else ()
    if found is None or not found.spans:
        return _not_found(trace_id, lines)
    services = set(found.services) | {line.service for line in lines}
    return render_template(
        "console/trace.html",
        trace=found,
        view=waterfall.build(found, lines, first, only, text),
        rows=waterfall.ROWS,
        operations_shown=OPERATIONS,
        only=only,
        find=text,
        colours=colours(services),
        lines=lines,
        line_total=page.total if page else 0,
        logs_error=logs.error,
    )


def find(trace_id: str) -> dict[str, Any]:
    """`{"spans": [[id, row], …]}`: the spans that have the text `find`, for the script that marks them."""
    only, text = _narrowing()
    found, logs = _ask(parameters.trace_id(trace_id))
    if found is None:
        raise NotFound(f"Trace {trace_id} is not in the store.")
    page = logs.or_else(None)
    return {"spans": waterfall.build(found, page.lines if page else (), 0, only, text).found}


def _narrowing() -> tuple[str, str]:
    """Which spans are shown, and what is looked for in them."""
    only = parameters.choice(request.args, "only", ("", "errors", "critical"), "")
    return only, request.args.get("find", "").strip()[:200]


def _ask(trace_id: str) -> tuple[Trace | None, Outcome]:
    """The trace and, as far as they are to be had, its log lines."""
    here, sources = console(), console().sources
    asked = here.gatherer.ask(
        trace=lambda: here.trace(trace_id),
        logs=lambda: sources.logs.search(LogQuery(trace_id=trace_id, limit=LINES)),
    )
    if asked["trace"].error:
        raise asked["trace"].error
    return asked["trace"].value, asked["logs"]


def span(trace_id: str, span_id: str) -> str:
    """The details of one span: a page of its own, or a part of the waterfall where a script asks for it."""
    found = _found(parameters.trace_id(trace_id))
    one = found.by_id.get(span_id)
    if one is None:
        raise parameters.BadParameter("span", span_id, "the trace has no such span.")
    length = fitting(span_weight, one, PAGE) or LENGTHS[-1]
    whole = request.headers.get("X-Requested-With") != "console"
    return render_template("console/span.html", trace=found, span=one, whole=whole, length=length)


def trace_download(trace_id: str, form: str) -> Response:
    """The trace as OTLP JSON or as Jaeger's JSON."""
    trace_id = parameters.trace_id(trace_id)
    traces = console().sources.traces
    readers: dict[str, Any] = {"otlp": traces.otlp_json, "jaeger": traces.jaeger_json}
    if form not in readers:
        raise parameters.BadParameter("download", form, "give otlp or jaeger.")
    kept = console().kept
    body: bytes | None = readers[form](trace_id)
    if body is None and form == "jaeger" and kept:
        body = kept.copy(trace_id)
    if body is None:
        raise NotFound(f"Trace {trace_id} is not in the store.")
    response = Response(body, mimetype="application/json")
    response.headers.set("Content-Disposition", "attachment", filename=f"{trace_id}-{form}.json")
    return response


def _found(trace_id: str) -> Trace:
    found = console().trace(trace_id)
    if found is None:
        raise NotFound(f"Trace {trace_id} is not in the store.")
    return found


def _not_found(trace_id: str, lines: Any) -> tuple[str, int]:
    services = colours(line.service for line in lines)
    length = fitting(lines_weight, lines, PAGE)
    return render_template(
        "console/no_trace.html", trace_id=trace_id, lines=lines, colours=services, length=length
    ), 404
