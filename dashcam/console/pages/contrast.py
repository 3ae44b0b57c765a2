"""`/contrast`: what chosen traces share and the others of the same search do not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from flask import Blueprint, render_template, request

from dashcam.console import parameters
from dashcam.console.app import console
from dashcam.console.filters import colours
from dashcam.console.gather import first_error
from dashcam.console.pages import search
from dashcam.diagnose.shared import shared
from dashcam.diagnose.significance import FEWEST
from dashcam.sources import SourceError, Trace

WAYS = {
    "chosen": "the chosen traces",
    "failed": "the traces with errors",
    "slow": "the slowest quarter",
}
MOST_CHOSEN = 100
SHOWN_BESIDE = 6
"""Traits that are named beside the one that the same traces have."""


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/contrast", view_func=contrast)


def contrast() -> str:
    """The page: the traces of the search's form, and of them those of `id`, those that failed or the slow."""
    ids = [parameters.trace_id(one) for one in request.args.getlist("id")]
    if len(ids) > MOST_CHOSEN:
        raise parameters.BadParameter("id", f"{len(ids)} traces", f"choose {MOST_CHOSEN} at most.")
    by = parameters.choice(request.args, "by", tuple(WAYS), "chosen" if ids else "failed")
    form = search.Form.read(request.args)
    traces, error = search.whole_traces(form.wide())
    if by == "chosen":
        more, missing = _further(ids, traces)
        traces, error = [*traces, *more], error or missing
    chosen = _chosen(traces, by, ids)
    taken = {trace.trace_id for trace in chosen}
    others = [trace for trace in traces if trace.trace_id not in taken]
    return render_template(
        "console/contrast.html",
        form=form,
        by=by,
        ways={way: text for way, text in WAYS.items() if way != "chosen" or ids},
        ids=ids,
        chosen=chosen,
        others=others,
        traits=shared(chosen, others),
        beside=SHOWN_BESIDE,
        fewest=FEWEST,
        error=error,
        logfmt=parameters.logfmt,
        colours=colours(service for trace in traces for service in trace.services),
    )


def _chosen(traces: Sequence[Trace], by: str, ids: Sequence[str]) -> list[Trace]:
    if by == "chosen":
        return [trace for trace in traces if trace.trace_id in ids]
    if by == "failed":
        return [trace for trace in traces if trace.errors]
    return sorted(traces, key=lambda trace: -trace.duration)[: len(traces) // 4]


def _further(ids: Sequence[str], traces: Sequence[Trace]) -> tuple[list[Trace], SourceError | None]:
    """The chosen traces that the search has not found again."""
    known = {trace.trace_id for trace in traces}
    source = console().sources.traces
    asked = console().gatherer.ask(
        **{f"trace{place}": partial(source.trace, one) for place, one in enumerate(ids) if one not in known}
    )
    return [one.value for one in asked.values() if one.value], first_error(*asked.values())
