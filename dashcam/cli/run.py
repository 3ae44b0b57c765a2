"""`dashcam run -- COMMAND`: a program of one's own beside the stack, in any language."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from dashcam.cli.stack import failures_told
from dashcam.stack import lifecycle
from dashcam.stack.file_watch import Watched
from dashcam.stack.own_program import prepared
from dashcam.stack.own_run import NotStarted, Run


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--name", default="", help="The service's name [OTEL_SERVICE_NAME, or the folder's].")
@click.option("--port", type=click.IntRange(1, 65535), help="Port it serves on, given to it as PORT.")
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Port of /metrics [found by itself].")
@click.option(
    "--instrument/--no-instrument", default=None, help="Use the environment's opentelemetry-instrument."
)
@click.option("--watch", is_flag=True, help="Start it again when a file below this folder changes.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    name: str,
    port: int | None,
    metrics_port: int | None,
    instrument: bool | None,
    watch: bool,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND with its traces, metrics and output in the running stack; exit with its status.

    \b
    Examples:
      dashcam run -- flask --app app run
      dashcam run --name orders --port 5055 -- gunicorn app:app
      dashcam run --name shop --watch -- node server.js
    """
    with failures_told():
        settings = lifecycle.running_settings()
        program = prepared(command, settings, os.environ, name=name, port=port, instrument=instrument)
        lifecycle.refuse_part_name(settings, program.name)
    _say(f"{program.name}: http://localhost:{settings.console_port}/logs?service={program.name}")
    if program.note:
        _say(program.note)
    try:
        status = Run(program, settings, _say).to_its_end(metrics_port, Watched(Path.cwd()) if watch else None)
    except NotStarted as error:
        raise click.ClickException(str(error)) from error
    sys.exit(status)


def _say(text: str) -> None:
    """About the program, not of it: on stderr, so that its output can be piped on."""
    click.echo(f"dashcam: {text}", err=True)
