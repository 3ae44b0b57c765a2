"""`dashcam fault list|on NAME|off NAME`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

from dashcam.sources.switches import BadFlags, Switches, UnknownFault, flags_file


@click.group()
def fault() -> None:
    """Switch faults on and off in the running services, to see what they look like.

    Services read the file that DASHCAM_FAULTS_FILE names, which the local stack sets for them; a service
    that was started without it has no faults.
    """


@fault.command("list")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def list_(as_json: bool) -> None:
    """Show every fault and whether it is on."""
    with _failures():
        found = _switches().all()
    if as_json:
        rows = {name: {"on": flag.enabled, **flag.metadata} for name, flag in found.items()}
        click.echo(json.dumps({"faults": rows}, indent=2))
        return
    width = max(len(name) for name in found)
    for name, flag in found.items():
        state = click.style("on ", fg="red", bold=True) if flag.enabled else "off"
        click.echo(f"{state}  {name:<{width}}  {flag.metadata.get('description', '')}")


@fault.command()
@click.argument("name")
def on(name: str) -> None:
    """Switch a fault on; services notice within half a second."""
    _switch(name, True)


@fault.command()
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Switch all of them off.")
def off(name: str | None, every: bool) -> None:
    """Switch a fault off, or all of them."""
    if every == bool(name):
        raise click.UsageError("give the name of a fault, or --all")
    if name:
        _switch(name, False)
        return
    with _failures():
        _switches().all_off()
    click.echo("all faults are off")


def _switch(name: str, to: bool) -> None:
    with _failures():
        switches = _switches()
        switches.set(name, to)
    click.echo(f"{name} is {'on' if to else 'off'} ({switches.path})")


def _switches() -> Switches:
    from dashcam.stack.settings import read

    return Switches(flags_file(read().state_dir, os.environ))


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except (UnknownFault, BadFlags) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"the file of faults cannot be used: {error}") from error
