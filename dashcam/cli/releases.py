"""`dashcam can-release`: whether the checkout's version of a service fits what runs."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

import click

from dashcam.cli.session import Session, command, write_json
from dashcam.registry import catalogue, releases
from dashcam.registry.catalogue import CatalogueError
from dashcam.registry.releases import Running, UnknownVersion
from dashcam.version import VERSION

FITS, MISFIT, UNKNOWN = 0, 1, 2
RUNNING = "max by (job, service_version) (target_info * on (job, instance) group_left () (up == 1))"


@click.command("can-release")
@click.argument("service")
@click.option(
    "--running",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='Versions, or git revisions, by service, as JSON: {"web": "0.2.0"}; a list where several run.'
    " From Prometheus unless given.",
)
@command()
def can_release(session: Session, service: str, running: Path | None) -> None:
    """Say whether the version of SERVICE in this checkout fits what runs, by contracts and catalogue.

    Exit status 0 where it fits, 1 where a consumer and a provider do not fit, 2 where that cannot be said,
    3 where Prometheus does not answer.

    \b
    Examples:
      dashcam can-release car
      dashcam can-release car --running production.json
    """
    try:
        known = catalogue.load()
        known.service(service)
        versions = _of_file(running) if running else _of_prometheus(session, known.names)
        read = cache(lambda version: releases.read_contracts(version, VERSION))
        found = list(dict.fromkeys(releases.misfits(service, versions, known, read)))
    except (CatalogueError, UnknownVersion, ValueError) as error:
        click.echo(f"It cannot be said: {error}", err=True)
        sys.exit(UNKNOWN)
    if session.as_json:
        rows = [vars(each) for each in found]
        shown = {name: each[0] if len(each) == 1 else list(each) for name, each in versions.items()}
        write_json({"service": service, "running": shown, "fits": not found, "misfits": rows})
    else:
        told = ", ".join(f"{name} {' and '.join(each)}" for name, each in sorted(versions.items()))
        click.echo(f"{service} of this checkout, beside {told}: {'does not fit' if found else 'fits'}")
        for each in found:
            click.echo(f"  {each}")
    sys.exit(MISFIT if found else FITS)


def _of_file(path: Path) -> Running:
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    versions = (
        {name: each if isinstance(each, list) else [each] for name, each in page.items()}
        if isinstance(page, dict)
        else {}
    )
    given = [version for each in versions.values() for version in each or [None]]
    if not given or not all(version and isinstance(version, str) for version in given):
        raise ValueError(f'{path}: give an object of versions by service, such as {{"web": "0.2.0"}}')
    return versions


def _of_prometheus(session: Session, names: tuple[str, ...]) -> Running:
    rows = [one.labels for one in session.sources.metrics.instant(RUNNING)]
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.get("job") in names:
            found.setdefault(row["job"], []).append(row.get("service_version", ""))
    if not found:
        raise ValueError(
            "no service runs, as far as Prometheus knows: start the stack, or give --running FILE"
        )
    return found
