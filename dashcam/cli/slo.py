"""`dashcam slo`: objectives of anybody's services as rules, alerts, tests and a dashboard."""

from __future__ import annotations

from pathlib import Path

import click

from dashcam.slo.generate import TESTS, read, write
from dashcam.slo.objectives import ObjectiveError


@click.group()
def slo() -> None:
    """Objectives: recording rules, burn-rate alerts, their tests, a dashboard."""


@slo.command()
@click.argument("page", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("slo"),
    show_default=True,
    help="The folder to write to.",
)
def generate(page: Path, out: Path) -> None:
    """Make Prometheus' rules and Grafana's dashboard of a PAGE of objectives.

    PAGE lists objectives under the key `slos` (docs/dashboards.md shows one), or is OpenSLO (openslo/v1).
    """
    try:
        written = write(read(page), page.name, out)
    except ObjectiveError as error:
        raise click.ClickException(str(error)) from None
    for path in written:
        click.echo(path)
    click.echo(f"try it: promtool test rules {out / TESTS}")
