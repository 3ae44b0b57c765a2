"""`dashcam export`, `dashcam import` and `dashcam open FILE`: a time's telemetry as one file."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from dashcam.cli.session import Session, command, failures, time_options, write_json
from dashcam.console.parameters import Window
from dashcam.export.contents import BadArchive, Contents
from dashcam.stack.programs import MissingProgram


@contextmanager
def opening(path: Path) -> Iterator[Any]:
    """The file at `path`, served until the block ends. Raises click's exception where it cannot be."""
    from dashcam.archive.opening import opened

    try:
        with opened(path) as found:
            yield found
    except (BadArchive, MissingProgram) as error:
        raise click.ClickException(str(error)) from error


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@time_options("15m")
@command()
def export(session: Session, path: Path, window: Window, force: bool) -> None:
    """Write a time's traces, log lines and metrics to one file of open formats.

    It is a zip of OTLP JSON lines and OpenMetrics text: look into it before you give it away. A diagnosis
    needs the time before what is wrong, too.

    \b
    Examples:
      dashcam export incident.zip
      dashcam export incident.zip --since 2026-01-31T12:00 --until 2026-01-31T12:30
    """
    from dashcam.archive.promtool import reads_any_name
    from dashcam.export.exporting import export as write

    start, end = window.start / 1e6, window.end / 1e6
    try:
        contents = write(session.sources, path, start, end, any_name=reads_any_name(), force=force)
    except FileExistsError as error:
        raise click.ClickException(f"{error}: give another name, or --force to write over it") from error
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror or error}") from error
    if session.as_json:
        write_json(contents)
        return
    click.echo(f"{path}: {contents}, {path.stat().st_size / 1e6:.1f} MB")
    _say_missing(contents)


@click.command(name="import")
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--into",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to make, which must be empty.",
)
def import_(path: Path, folder: Path) -> None:
    """Read an exported file into a folder, once, to look at it often.

    \b
    Examples:
      dashcam import incident.zip --into incident
      dashcam --file incident diagnose
    """
    from dashcam.archive.importing import unpack

    try:
        contents = unpack(path, folder)
    except (BadArchive, MissingProgram) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{folder}: {contents}, {_times(contents)}")
    _say_missing(contents)


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(exists=True, path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Where to listen [any free port].")
def file(path: Path, port: int) -> None:
    """Serve an exported file with its pages until Ctrl-C, as if its time were now."""
    from dashcam import console
    from dashcam.sources.switches import SwitchSettings
    from dashcam.store.http_server import HttpServer

    with failures(), opening(path) as found:
        console.register(found.app, found.settings, found.sources, SwitchSettings())
        try:
            listening = HttpServer(found.app, host="127.0.0.1", port=port, threads=8)
        except OSError as error:
            why = error.strerror or error
            raise click.ClickException(f"cannot listen on 127.0.0.1:{port}: {why}") from error
        listening.start()
        made_by = found.contents.made_by
        click.echo(f"{path}: {found.contents}, {_times(found.contents)}, by {made_by}")
        _say_missing(found.contents)
        click.echo(
            f"http://127.0.0.1:{listening.port}   until Ctrl-C; in a terminal: dashcam --file {path} diagnose"
        )
        try:
            _until_told()
        finally:
            listening.stop(1.0)


def _until_told() -> None:
    """Return at Ctrl-C or SIGTERM."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    told.wait()


def _say_missing(contents: Contents) -> None:
    for missing in contents.cut:
        click.echo(f"not whole: {missing}", err=True)


def _times(contents: Contents) -> str:
    start, end = (datetime.fromtimestamp(at, UTC) for at in (contents.start, contents.end))
    return f"{start:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC"
