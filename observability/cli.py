"""`dashcam`, the command-line program: the same functions as the Makefile's targets.

A command lives beside what it drives and is imported only when it is called, so that
`dashcam --help` stays quick and a broken part does not take the others along.
"""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "up": "observability.stack.commands:up",
    "down": "observability.stack.commands:down",
    "status": "observability.stack.commands:status",
    "start": "observability.stack.commands:start",
    "stop": "observability.stack.commands:stop",
    "deploy": "observability.cluster.commands:deploy",
    "undeploy": "observability.cluster.commands:undeploy",
    "port-forward": "observability.cluster.commands:port_forward",
    "debug": "observability.cluster.commands:debug",
    "alerts": "observability.console.cli.services:alerts",
    "diagnose": "observability.diagnose.command:diagnose",
    "scenario": "observability.diagnose.scenario_command:scenario",
    "fault": "observability.diagnose.fault_command:fault",
    "completion": "observability.console.cli.links:completion",
    "console": "observability.console.cli.links:console",
    "logs": "observability.console.cli.logs:logs",
    "metrics": "observability.console.cli.metrics:metrics",
    "open": "observability.console.cli.links:open_",
    "services": "observability.console.cli.services:services",
    "trace": "observability.console.cli.traces:trace",
    "traces": "observability.console.cli.traces:traces",
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
def main(context: str | None) -> None:
    """Find out what broke, where and why: traces, metrics and logs of the running stack."""
    if context:
        from observability.cluster.reading import point_at

        point_at(context)
