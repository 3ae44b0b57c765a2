"""`dashcam add target` and `dashcam add logs`: write `dashcam.toml`."""

from __future__ import annotations

from pathlib import Path

import click

from dashcam.stack import own_file, scrape_targets
from dashcam.stack.own_file import BadFile
from dashcam.stack.settings import read
from dashcam.stack.state import recorded_settings

_FILE = click.option(
    "-f",
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(own_file.NAME),
    help="The file to write [dashcam.toml].",
)


@click.group()
def add() -> None:
    """Add a target of Prometheus or log files to dashcam.toml."""


@add.command()
@click.argument("job")
@click.argument("addresses", nargs=-1, required=True)
@_FILE
def target(job: str, addresses: tuple[str, ...], file: Path) -> None:
    """Scrape /metrics of ADDRESSES (HOST:PORT) as the service JOB.

    \b
    Examples:
      dashcam add target shop 127.0.0.1:9100
    """
    _append(file, "targets", {"job": job, "addresses": list(addresses)})
    running = recorded_settings(read())
    if running.own_file and running.own_file == file.resolve():
        scrape_targets.write(running.state_dir, "dashcam-toml", own_file.read_file(file).targets)
        click.echo("the running stack scrapes it from now on")
    else:
        _say_how(file)


@add.command()
@click.argument("service")
@click.argument("files", nargs=-1, required=True)
@_FILE
def logs(service: str, files: tuple[str, ...], file: Path) -> None:
    """Follow FILES (names or quoted patterns) as the log of SERVICE.

    \b
    Examples:
      dashcam add logs shop '/var/log/shop/*.log'
    """
    _append(file, "logs", {"service": service, "files": list(files)})
    _say_how(file)


def _append(file: Path, table: str, row: dict[str, str | list[str]]) -> None:
    try:
        own_file.append(file, table, row)
    except (BadFile, OSError) as error:
        raise click.ClickException(str(error)) from error


def _say_how(file: Path) -> None:
    click.echo(f"written to {file}; `dashcam down && dashcam up -f {file}` takes it along")
