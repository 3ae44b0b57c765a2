"""`/diagnose`: what is wrong, since when, for whom, and where the cause is; links to look for oneself."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for

from dashcam.console import parameters
from dashcam.console.app import console
from dashcam.diagnose import report, verdict
from dashcam.diagnose.findings import Diagnosis, Evidence
from dashcam.diagnose.selection import narrowed

LONGEST = 6 * 3600.0
"""Seconds of a page's time: a longer one is for the command line, where nobody waits for a page."""


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/diagnose", view_func=diagnose)


def diagnose() -> str:
    """The page. It asks only when its form was sent: a diagnosis takes seconds."""
    window = parameters.window(request.args, "15m")
    if window.seconds > LONGEST:
        raise parameters.BadParameter(
            "lookback", window.lookback, "give 6h at most here; `dashcam diagnose --since` takes more."
        )
    service = request.args.get("service", "").strip()[:100]
    found: Diagnosis | None = None
    if request.args:
        found = verdict.diagnose(console().sources, window.start / 1e6, window.end / 1e6)
        found = narrowed(found, service) if service else found
    return render_template(
        "console/diagnose.html",
        found=found,
        window=window,
        lookbacks=parameters.LOOKBACKS,
        service=service,
        advice=report.ADVICE,
        runbooks=report.RUNBOOKS,
        link=_link,
    )


def _link(evidence: Evidence) -> str:
    """The page that asks the same question."""
    if evidence.signal == "traces":
        return url_for("console.trace", trace_id=evidence.query.removeprefix("trace "))
    if evidence.signal == "logs":
        return f"{url_for('console.logs')}?{evidence.query}"
    return url_for("console.explore", expr=evidence.query)
