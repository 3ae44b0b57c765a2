"""`/alerts`: what is firing and pending, its runbook, and what to look at first; `/runbooks/{name}`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template, url_for
from markdown_it import MarkdownIt
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from dashcam.console import parameters, service_health
from dashcam.console.app import console
from dashcam.console.filters import colours
from dashcam.sources import Alert

BEFORE = 10 * 60_000_000
"""Microseconds before an alert became active that are looked at: its cause came first."""


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/alerts", view_func=alerts)
    blueprint.add_url_rule("/runbooks/<name>", view_func=runbook)


@dataclass(frozen=True)
class Shown:
    """An alert with its links."""

    alert: Alert
    service: str
    runbook: str
    first: list[tuple[str, str]]
    """(label, address) of what to look at, in this order."""


def alerts() -> str:
    """The page."""
    asked = console().gatherer.ask(alerts=console().sources.metrics.alerts)["alerts"]
    serious = [alert for alert in asked.or_else([]) if service_health.serious(alert)]
    found = sorted(serious, key=service_health.urgency)
    shown = [_shown(alert) for alert in found]
    return render_template(
        "console/alerts.html",
        error=asked.error,
        shown=shown,
        watching=len(serious) < len(asked.or_else([])),
        colours=colours(one.service for one in shown),
        now=parameters.now(),
        alertmanager=console().settings.alertmanager_address,
        prometheus=console().settings.prometheus_address,
    )


def runbook(name: str) -> str:
    """A runbook of `dashboards/runbooks`, which alerts link to."""
    path = console().settings.runbooks / f"{name}.md"
    if not name.replace("-", "").replace("_", "").isalnum() or not path.is_file():
        raise NotFound(f"There is no runbook {name!r}.")
    # The text is the project's own, and HTML in it is escaped all the same.
    rendered = MarkdownIt("commonmark", {"html": False}).enable("table").render(path.read_text("utf-8"))
    return render_template("console/runbook.html", name=name, rendered=Markup(rendered))  # noqa: S704 - as above


def _shown(alert: Alert) -> Shown:
    service = alert.labels.get("service") or alert.labels.get("job", "")
    return Shown(alert, service, _runbook(alert), _first(alert, service))


def _runbook(alert: Alert) -> str:
    """The address of the runbook; one that this console has is linked to where this console is."""
    if alert.name.isalnum() and (console().settings.runbooks / f"{alert.name}.md").is_file():
        return url_for("console.runbook", name=alert.name)
    address = alert.annotations.get("runbook_url", "")
    return address if address.startswith(("http://", "https://", "/")) else ""


def _first(alert: Alert, service: str) -> list[tuple[str, str]]:
    """Failing traces, then what the service said, then its figures, from before the alert until now."""
    end = parameters.now()
    during: dict[str, Any] = {"lookback": "custom", "start": int(alert.active_at * 1e6) - BEFORE, "end": end}
    links = []
    if service:
        slow = "latency" in (alert.labels.get("sli", "") + alert.name).lower()
        search: dict[str, Any] = {"sort": "longest"} if slow else {"errors": 1}
        label = "Slowest traces" if slow else "Failing traces"
        links += [
            (f"{label} of {service}", url_for("console.search", service=service, **search, **during)),
            (
                f"Warnings and errors of {service}",
                url_for("console.logs", service=service, level="WARN", **during),
            ),
            (f"Metrics of {service}", url_for("console.monitor", service=service, **during)),
        ]
    else:
        links.append(("Errors of all services", url_for("console.logs", level="ERROR", **during)))
    return links
