"""`/services/{name}`: what the catalogue knows of a service of ours, and which versions of it run."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, render_template, url_for
from werkzeug.exceptions import InternalServerError, NotFound

from dashcam.console import queries
from dashcam.console.app import console
from dashcam.console.filters import colours
from dashcam.console.gather import Outcome
from dashcam.registry import catalogue
from dashcam.registry.catalogue import Catalogue, CatalogueError, Service
from observability import schema


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/services/<name>", view_func=service)
    blueprint.add_url_rule("/services/<name>/openapi.yaml", view_func=document)


def service(name: str) -> str:
    """The page."""
    known, found = _known(name)
    metrics = console().sources.metrics
    of_it = queries.of_service(name)
    asked = console().gatherer.ask(
        running=partial(metrics.instant, queries.selector(schema.TARGET.sample, *of_it)),
        budgets=partial(
            metrics.instant, queries.selector(queries.SLO_BUDGET, f"service={queries.quoted(name)}")
        ),
    )
    return render_template(
        "console/service.html",
        service=found,
        owner=dict(known.owners)[found.owner],
        calls=known.called_by(name),
        resources=[each for each in known.resources if each.name in found.depends_on],
        callers=known.callers(name),
        runbooks=[(each, _runbook(each)) for each in found.runbooks],
        dashboards=[(each, _address(each.path)) for each in found.dashboards],
        has_document=_document(name).is_file(),
        versions=_versions(asked["running"]),
        error=asked["running"].error,
        budgets={one.labels.get("slo", ""): one.value for one in asked["budgets"].or_else([])},
        colours=colours(known.names),
    )


def document(name: str) -> Response:
    """The service's OpenAPI document, as its file has it."""
    _known(name)
    path = _document(name)
    if not path.is_file():
        raise NotFound(f"{name} has no OpenAPI document.")
    return Response(path.read_text(encoding="utf-8"), content_type="text/plain; charset=utf-8")


def catalogued() -> frozenset[str]:
    """The names of the services that have such a page; none where the catalogue cannot be read."""
    try:
        return frozenset(catalogue.load().names)
    except CatalogueError:
        return frozenset()


def _known(name: str) -> tuple[Catalogue, Service]:
    try:
        found = catalogue.load()
    except CatalogueError as error:
        raise InternalServerError(str(error)) from error
    if name not in found.names:
        there = f"; there are {', '.join(found.names)}" if found.names else ""
        raise NotFound(f"The catalogue has no service {name!r}{there}.")
    return found, found.service(name)


def _document(name: str) -> Path:
    return catalogue.PATH.parent / name / "openapi.yaml"


def _versions(running: Outcome) -> list[tuple[str, int]]:
    """Each version that is running, with its number of instances; the most frequent first."""
    instances: Counter[str] = Counter()
    samples: list[Any] = running.or_else([])
    for sample in samples:
        instances[sample.labels.get("service_version", "") or "without a version"] += 1
    return instances.most_common()


def _runbook(name: str) -> str:
    """The address of a runbook, or nothing where this console has no such page."""
    there = (console().settings.runbooks / f"{name}.md").is_file()
    return url_for("console.runbook", name=name) if there else ""


def _address(path: str) -> str:
    """The address of a dashboard, or nothing where Grafana's is not known."""
    grafana = (console().settings.grafana_url or "").rstrip("/")
    return f"{grafana}/{path}" if grafana.startswith(("http://", "https://")) else ""
