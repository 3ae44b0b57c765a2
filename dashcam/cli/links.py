"""`dashcam open`, `dashcam completion` and `dashcam console`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from urllib.parse import quote

import click

from dashcam.cli.archive import file
from dashcam.cli.session import Session, command, failures, write_json
from dashcam.console import parameters
from dashcam.console.settings import ConsoleSettings
from observability.settings import from_environ


class PagesAndFiles(click.Group):
    """The subcommands, and `file` for the name of a file that exists."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and Path(args[0]).exists():
            args = ["file", *args]
        return super().resolve_command(ctx, args)


@click.group(name="open", cls=PagesAndFiles)
def open_() -> None:
    """Print the address of a page of the console, or serve a file that was exported.

    \b
    Examples:
      dashcam open incident.zip
      dashcam open trace 4bf92f3577b34da6a3ce929d0e0e4736
      dashcam open service car --browser
    """


@open_.command()
@click.argument("trace_id", metavar="ID")
@click.option("--browser", "-b", is_flag=True, help="Open it too.")
@command()
def trace(session: Session, trace_id: str, browser: bool) -> None:
    """The page of a trace."""
    _open(session, f"{session.console}/trace/{parameters.trace_id(trace_id)}", browser)


@open_.command()
@click.argument("name")
@click.option("--browser", "-b", is_flag=True, help="Open it too.")
@command()
def service(session: Session, name: str, browser: bool) -> None:
    """The metrics of a service."""
    _open(session, f"{session.console}/monitor?service={quote(name, safe='')}", browser)


open_.add_command(file)


def _open(session: Session, address: str, browser: bool) -> None:
    if session.as_json:
        write_json({"address": address})
    else:
        click.echo(address)
    if browser and click.launch(address) != 0:
        raise click.ClickException("no browser could be started; open the address above yourself")


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Examples:
      eval "$(dashcam completion bash)"      # in ~/.bashrc
      dashcam completion fish > ~/.config/fish/completions/dashcam.fish
    """
    from click.shell_completion import get_completion_class

    from dashcam.cli.main import main

    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"click knows no completion for {shell}")
    click.echo(found(main, {}, "dashcam", "_DASHCAM_COMPLETE").source())


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Where to listen [CONSOLE_PORT, 16686].")
@click.option("--host", help="The address to listen on [127.0.0.1].")
def console(port: int | None, host: str | None) -> None:
    """Serve the pages alone, against Jaeger, Prometheus and a log search elsewhere.

    \b
    Examples:
      kubectl -n dashcam port-forward svc/jaeger 26686:16686 &
      kubectl -n dashcam port-forward svc/prometheus 9090 &
      JAEGER_QUERY_URL=http://127.0.0.1:26686 LOGS_KIND=elasticsearch dashcam console --port 8080
    """
    from dashcam.console.app import create_app
    from dashcam.store.http_server import HttpServer

    with failures():
        asked = from_environ(ConsoleSettings)
        settings = dataclasses.replace(
            asked,
            # Where the sources are must not move with the port that the pages listen on.
            jaeger_query_url=asked.jaeger_address,
            console_port=asked.console_port if port is None else port,
            host=host or asked.host,
        )
    here = f":{settings.console_port}"
    if settings.jaeger_address in (f"http://127.0.0.1{here}", f"http://localhost{here}"):
        raise click.UsageError(
            f"the console would ask itself: Jaeger is at {settings.jaeger_address}. "
            "Set JAEGER_QUERY_URL, or give another --port."
        )
    click.echo(f"http://{settings.host}:{settings.console_port}  Jaeger: {settings.jaeger_address}", err=True)
    HttpServer(
        create_app(settings), host=settings.host, port=settings.console_port, threads=settings.threads
    ).run()
