"""`dashcam`, the command-line program: the same functions as the Makefile's targets.

A command lives beside what it drives and is imported only when it is called, so that
`dashcam --help` stays quick and a broken part does not take the others along.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import click

COMMANDS = {
    "add": "dashcam.cli.add:add",
    "up": "dashcam.cli.stack:up",
    "down": "dashcam.cli.stack:down",
    "status": "dashcam.cli.stack:status",
    "start": "dashcam.cli.stack:start",
    "restart": "dashcam.cli.stack:restart",
    "stop": "dashcam.cli.stack:stop",
    "deploy": "dashcam.cli.cluster:deploy",
    "undeploy": "dashcam.cli.cluster:undeploy",
    "port-forward": "dashcam.cli.cluster:port_forward",
    "debug": "dashcam.cli.cluster:debug",
    "alerts": "dashcam.cli.services:alerts",
    "diagnose": "dashcam.cli.diagnose:diagnose",
    "export": "dashcam.cli.archive:export",
    "import": "dashcam.cli.archive:import_",
    "scenario": "dashcam.lab.command:scenario",
    "fault": "dashcam.cli.fault:fault",
    "completion": "dashcam.cli.links:completion",
    "can-release": "dashcam.cli.releases:can_release",
    "console": "dashcam.cli.links:console",
    "logs": "dashcam.cli.logs:logs",
    "mcp": "dashcam.cli.mcp:mcp",
    "metrics": "dashcam.cli.metrics:metrics",
    "open": "dashcam.cli.links:open_",
    "run": "dashcam.cli.run:run",
    "services": "dashcam.cli.services:services",
    "slo": "dashcam.cli.slo:slo",
    "trace": "dashcam.cli.traces:trace",
    "traces": "dashcam.cli.traces:traces",
}
"""The subcommands, as `name: module:attribute`."""


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dashcam", prog_name="dashcam")
@click.option(
    "--context", metavar="NAME", help="Read a cluster (kubectl's name for it) behind `port-forward`."
)
@click.option(
    "--file",
    "recorded",
    metavar="FILE",
    type=click.Path(exists=True, path_type=Path),
    help="Read a time that was exported to a file, or imported to a folder, as if it were now.",
)
@click.pass_context
def main(ctx: click.Context, context: str | None, recorded: Path | None) -> None:
    """Find out what broke, where and why: traces, metrics and logs of the running stack."""
    if recorded:
        from dashcam.cli.archive import opening

        ctx.obj = ctx.with_resource(opening(recorded))
    if context:
        from dashcam.cluster.forwarded_sources import point_at

        point_at(context)
