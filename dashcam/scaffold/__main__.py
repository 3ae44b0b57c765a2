"""`make new-service` and `make remove-service`: `python -m dashcam.scaffold new|remove NAME`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from dashcam.registry.catalogue import ROOT
from dashcam.scaffold import service
from dashcam.scaffold.choices import Refused


@click.group()
def main() -> None:
    """Make a service from services/template, or take one away."""


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except Refused as error:
        raise click.ClickException(str(error)) from None


@main.command()
@click.argument("name")
@click.option("--port", type=int, help="Where it listens; the first free one from 8010 on unless given.")
@click.option("--owner", help="One of the catalogue's owners; the first unless given.")
@click.option("--about", help="What it is for, as one sentence.")
def new(name: str, port: int | None, owner: str | None, about: str | None) -> None:
    """Make the service NAME: code, tests, manifests, its entry in the catalogue, and what is made of that."""
    with _refusals():
        made = service.make(ROOT, name, port, owner, about)
    click.echo(
        f"{name} is there, on port {made.port}. Next:\n"
        f"  make test-service NAME={name}     its tests\n"
        f"  make restart               see it run: http://127.0.0.1:{made.port}/{name}\n"
        f"docs/new-service.md goes on from here; make remove-service NAME={name} is the way back."
    )


@main.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Delete also what has been changed.")
def remove(name: str, force: bool) -> None:
    """Take the service NAME away again, where nobody depends on it and nothing of it was changed."""
    with _refusals():
        gone = service.remove(ROOT, name, force=force)
    click.echo(f"{name} is gone: {len(gone)} files and its entry in services/catalogue.yaml")


if __name__ == "__main__":
    main()
