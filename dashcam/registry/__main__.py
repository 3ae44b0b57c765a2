"""`python -m dashcam.registry`: write what is made from services/catalogue.yaml; --check only compares."""

from __future__ import annotations

import click

from dashcam.registry import catalogue, generated


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail where a file is stale.")
def main(check: bool) -> None:
    """Generate what lists the services from the page on which they are listed."""
    try:
        services = catalogue.load()
    except catalogue.CatalogueError as error:
        raise click.ClickException(str(error)) from None
    if not check:
        click.echo(f"wrote {len(generated.write(services))} files")
    elif stale := generated.differences(services):
        listed = "\n".join(f"  {name}" for name in stale)
        raise click.ClickException(f"not what the catalogue gives:\n{listed}\nrun: make services-generated")


if __name__ == "__main__":
    main()
