"""`python -m dashboards.src`: write dashboards/generated; with --check, only compare."""

from __future__ import annotations

import click

from dashboards.src.generate import GENERATED, differences, write
from dashcam.slo.objectives import ObjectiveError


@click.command()
@click.option(
    "--check", is_flag=True, help="Write nothing; fail when a generated file is not what its source gives."
)
def main(check: bool) -> None:
    """Generate dashboards, rules, routing and saved objects from their sources."""
    try:
        if not check:
            click.echo(f"wrote {len(write())} files below {GENERATED.name}/")
        elif stale := differences():
            listed = "\n".join(f"  dashboards/generated/{name}" for name in stale)
            raise click.ClickException(f"not what the sources give:\n{listed}\nrun: make dashboards")
    except ObjectiveError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
