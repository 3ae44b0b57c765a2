"""The commands that drive the stack: `dashcam up`, `down`, `status`, and `stop` and `start` for one part."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from dashcam.stack import lifecycle
from dashcam.stack.lifecycle import Part, StackError, Status
from dashcam.stack.own_file import BadFile
from dashcam.stack.programs import MissingProgram
from dashcam.stack.settings import read
from dashcam.stack.supervision import SupervisorError
from dashcam.stack.tool_recipes import MissingTool
from observability.settings import SettingError


@click.command()
@click.option(
    "-f",
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A dashcam.toml of your own programs, targets and log files to take along [DASHCAM_FILE].",
)
def up(file: Path | None) -> None:
    """Start the stack in the background and wait until every part is ready.

    Parts that are up are left alone. Ports, folder and traffic are set by environment variables; see
    docs/configuration.md.
    """
    signal.signal(signal.SIGTERM, _interrupted)
    began = time.monotonic()
    with failures_told():
        asked = read(own_file=file) if file else read()
        explicit = frozenset(("DASHCAM_FILE",) if file else ()) | frozenset(
            name for name in asked.as_environ() if os.environ.get(name)
        )
        settings = lifecycle.up(asked, click.echo, explicit=explicit - {"DASHCAM_STATE_DIR"})
        shown = lifecycle.status(settings)
    click.echo(f"\nEverything is ready after {time.monotonic() - began:.1f} s.\n")
    width = max(len(part.address) for part in shown.parts)
    for part in shown.parts:
        click.echo(f"  {part.name:<14} {part.address:<{width}}  {part.about}")
    click.echo(
        f"\nState and logs: {settings.state_dir}. `make status` shows what is up, `make down` ends it."
    )


@click.command()
def down() -> None:
    """End everything that `dashcam up` started, and nothing else."""
    with failures_told():
        settings = read()
        click.echo("ended" if lifecycle.down(settings, click.echo) else "nothing was up")


@click.command()
@click.argument("part")
def stop(part: str) -> None:
    """End one PART of the running stack, such as `car`, to see what its absence does."""
    with failures_told():
        ended = lifecycle.stop_part(read(), part, click.echo)
    click.echo(
        f"{part} ended; `dashcam start {part}` starts it again" if ended else f"{part} was not running"
    )


@click.command()
@click.argument("part")
def start(part: str) -> None:
    """Start one PART of the stack again and wait until it is ready."""
    with failures_told():
        if not lifecycle.start_part(read(), part, click.echo):
            click.echo(f"{part} is running")


@click.command()
@click.argument("part")
def restart(part: str) -> None:
    """End one PART of the stack, start it again and wait until it is ready."""
    with failures_told():
        settings = read()
        lifecycle.stop_part(settings, part, click.echo)
        lifecycle.start_part(settings, part, click.echo)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """Show what is up, since when and where; exit status 1 unless every part is ready.

    \b
    Examples:
      dashcam status
      dashcam status --json | jq -r '.parts[] | select(.ready | not).name'
    """
    with failures_told():
        found = lifecycle.status(read())
    click.echo(_as_json(found) if as_json else _as_text(found))
    context.exit(0 if found.ready else 1)


def _as_json(found: Status) -> str:
    parts = [dataclasses.asdict(part) for part in found.parts]
    shown = {"ready": found.ready, "state_dir": str(found.state_dir), "parts": parts}
    return json.dumps({**shown, "leftover": found.leftover}, indent=2)


def _as_text(found: Status) -> str:
    if found.leftover:
        pids = ", ".join(map(str, found.leftover))
        return f"the supervisor is gone, and these processes are left: {pids}\n`make down` ends them"
    if not found.parts:
        return "nothing is up; `make up` starts it"
    head = f"{'part':<14} {'state':<11} {'since':<20} {'up for':>8} {'restarts':>8} {'pid':>7}  address"
    return "\n".join([head, *(_row(part) for part in found.parts)])


def _row(part: Part) -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(part.since)) if part.pid else "-"
    age = _age(time.time() - part.since) if part.pid else "-"
    row = f"{part.name:<14} {part.state:<11} {since:<20} {age:>8} {part.restarts:>8} {part.pid or '-':>7}  "
    return (row + (part.address or part.about)).rstrip() + (f"\n  {part.reason}" if part.reason else "")


def _age(seconds: float) -> str:
    minutes, seconds = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{seconds:02}s"


@contextmanager
def failures_told() -> Iterator[None]:
    """A failure that the user can do something about is a message, not a traceback."""
    try:
        yield
    except (SettingError, StackError, BadFile, SupervisorError, MissingProgram, MissingTool) as error:
        raise click.ClickException(str(error)) from error


def _interrupted(signum: int, frame: FrameType | None) -> None:
    """End `up` by an exception, so that what it has started is ended too."""
    raise SystemExit(128 + signum)
