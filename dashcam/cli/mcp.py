"""`dashcam mcp`: the sources and the diagnosis as tools of an assistant."""

from __future__ import annotations

import click

from dashcam.cli.session import Session, command


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Over HTTP on this port of 127.0.0.1 instead.")
@command()
def mcp(session: Session, port: int | None) -> None:
    """Serve the Model Context Protocol, over standard input and output.

    The tools are services, traces, trace, logs, metrics, alerts, runbook, diagnose and compare. They only
    read, and no other machine can reach them. It needs the extra `mcp` of the distribution.

    \b
    Examples:
      dashcam mcp                 # as an assistant's configuration starts it
      dashcam mcp --port 8765     # at http://127.0.0.1:8765/mcp
    """
    try:
        from dashcam.mcp import server
        from dashcam.mcp.tools import Tools
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mcp":
            raise
        raise click.ClickException("the protocol's package is missing: pip install 'dashcam[mcp]'") from error
    made = server.create(Tools(session.sources, session.settings))
    if port is None:
        made.run("stdio")
        return
    click.echo(f"http://{server.HOST}:{port}{server.PATH}", err=True)
    server.over_http(made, port)
