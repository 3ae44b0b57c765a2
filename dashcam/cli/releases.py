"""`dashcam can-release`: whether the checkout's version of a service fits what runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import click

from dashcam.cli.session import Session, command, write_json
from dashcam.registry import catalogue, releases
from dashcam.registry.catalogue import CatalogueError
from dashcam.registry.releases import UnknownVersion
from dashcam.version import VERSION

FITS, MISFIT, UNKNOWN = 0, 1, 2
RUNNING = "max by (job, service_version) (target_info * on (job, instance) group_left () (up == 1))"


@click.command("can-release")
@click.argument("service")
@click.option(
    "--running",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='Versions, or git revisions, by service, as JSON: {"web": "0.2.0"}. From Prometheus unless given.',
)
@command()
def can_release(session: Session, service: str, running: Path | None) -> None:
    """Say whether the version of SERVICE in this checkout fits what runs, by contracts and catalogue.

    Exit status 0 where it fits, 1 where a consumer and a provider do not fit, 2 where that cannot be said.

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
        found = list(releases.misfits(service, versions, known, read))
    except (CatalogueError, UnknownVersion, ValueError) as error:
        click.echo(f"It cannot be said: {error}", err=True)
        sys.exit(UNKNOWN)
    if session.as_json:
        rows = [vars(each) for each in found]
        write_json({"service": service, "running": dict(versions), "fits": not found, "misfits": rows})
    else:
        told = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
        click.echo(f"{service} of this checkout, beside {told}: {'does not fit' if found else 'fits'}")
        for each in found:
            click.echo(f"  {each}")
    sys.exit(MISFIT if found else FITS)


def _of_file(path: Path) -> Mapping[str, str]:
    versions = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(versions, dict) or not all(isinstance(each, str) for each in versions.values()):
        raise ValueError(f'{path}: give an object of versions by service, such as {{"web": "0.2.0"}}')
    return versions


def _of_prometheus(session: Session, names: tuple[str, ...]) -> Mapping[str, str]:
    rows = [one.labels for one in session.sources.metrics.instant(RUNNING)]
    found = {row["job"]: row.get("service_version", "") for row in rows if row.get("job") in names}
    if not found:
        raise ValueError(
            "no service runs, as far as Prometheus knows: start the stack, or give --running FILE"
        )
    return found
