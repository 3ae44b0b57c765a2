"""What every command shares: where the sources are, how failures end, how text reaches a terminal."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import click
import orjson

from dashcam.console.parameters import BadParameter, reaching
from dashcam.console.settings import ConsoleSettings
from dashcam.model.text import plain
from dashcam.sources import SourceError, Sources, connect
from observability.settings import SettingError, from_environ

NOTHING, UNREACHABLE = 1, 3


@dataclass(frozen=True)
class Session:
    """The sources of one call of a command, and whether it answers JSON."""

    settings: ConsoleSettings
    sources: Sources
    as_json: bool

    @property
    def console(self) -> str:
        """The address of the pages."""
        return f"http://localhost:{self.settings.console_port}"


def command() -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command a Session as its first argument, the options for it, and the exit statuses."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(
            *args: Any,
            jaeger_url: str | None,
            prometheus_url: str | None,
            logs_url: str | None,
            as_json: bool,
            **kwargs: Any,
        ) -> None:
            with failures():
                given = {
                    "jaeger_query_url": jaeger_url,
                    "prometheus_url": prometheus_url,
                    "logs_url": logs_url,
                }
                session = open_session({name: url for name, url in given.items() if url}, as_json)
                function(session, *args, **kwargs)

        return _with_options(run)

    return decorate


def _with_options(run: Callable[..., None]) -> Callable[..., None]:
    addresses = (
        ("--jaeger-url", "Jaeger's query API."),
        ("--prometheus-url", "Prometheus."),
        ("--logs-url", "The log search."),
    )
    run = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")(run)
    for name, what in reversed(addresses):
        run = click.option(name, metavar="URL", help=f"{what} Default: environment, running stack.")(run)
    return run


def open_session(addresses: Mapping[str, str], as_json: bool) -> Session:
    """A session: addresses by option, then environment, then the running stack's, then the defaults."""
    context = click.get_current_context(silent=True)
    if context and os.environ.get("NO_COLOR"):
        context.color = False
    recorded = context.find_root().obj if context else None
    if recorded is not None:
        return Session(recorded.settings, recorded.sources, as_json)
    settings = from_environ(ConsoleSettings, {**_running_stack(), **os.environ}, **addresses)
    return Session(settings, connect(settings), as_json)


def _running_stack() -> dict[str, str]:
    """What the stack of this checkout or DASHCAM_STATE_DIR was started with, as variables."""
    from dashcam.stack.settings import read
    from dashcam.stack.state import recorded_settings

    return {name: str(value) for name, value in recorded_settings(read()).as_environ().items()}


@contextmanager
def failures() -> Iterator[None]:
    """End with a message and the right exit status where a source, a setting or a parameter is at fault."""
    try:
        yield
    except SourceError as error:
        click.echo(f"dashcam: {plain(str(error))}", err=True)
        sys.exit(UNREACHABLE)
    except (BadParameter, SettingError) as error:
        raise click.UsageError(plain(str(error))) from error
    except BrokenPipeError:
        # The reader, `head` for example, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def nothing(session: Session, what: str, empty: Any) -> NoReturn:
    """Say that nothing was found, as JSON `empty`, and end with status 1."""
    if session.as_json:
        write_json(empty)
    else:
        click.echo(what, err=True)
    sys.exit(NOTHING)


def write_json(value: Any) -> None:
    """One JSON document; numbers that JSON has no word for become null."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode())


def one_line(text: str, width: int = 200) -> str:
    """`plain` text on one line, at most `width` characters."""
    joined = " ".join(plain(text).split())
    return joined if len(joined) <= width else joined[: width - 1] + "…"


def time_options(default: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Options for the time to look at; the command gets a Window as `window`."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(*args: Any, since: str, until: str, **kwargs: Any) -> None:
            with failures():
                found = reaching(since or default, until, "--since")
            function(*args, window=found, **kwargs)

        run = click.option("--until", default="", metavar="TIME", help="Until a moment (UTC) [now].")(run)
        return click.option(
            "--since",
            default="",
            metavar="TIME",
            help=f"How far back, such as 15m or 2h, or a moment such as 2026-01-31T12:00 (UTC) [{default}].",
        )(run)

    return decorate


def table(rows: list[list[str]], right: frozenset[int] = frozenset()) -> None:
    """Print rows, the first as a header, in columns that fit; `right` columns are aligned to the right."""
    widths = [max(len(click.unstyle(row[column])) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = []
        for column, cell in enumerate(row):
            space = " " * (widths[column] - len(click.unstyle(cell)))
            cells.append(space + cell if column in right else cell + space)
        text = "  ".join(cells).rstrip()
        click.echo(click.style(text, bold=True) if number == 0 else text)
