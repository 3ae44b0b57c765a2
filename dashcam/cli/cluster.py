"""`dashcam deploy`, `undeploy`, `port-forward` and `debug`."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click

from dashcam.cluster import deployment
from dashcam.cluster.forwards import forward_all, forwards
from dashcam.cluster.kubectl import NAMESPACE, ClusterError, Kubectl
from dashcam.cluster.parts import Parts, named
from dashcam.cluster.readiness import seconds
from dashcam.registry import catalogue
from dashcam.registry.catalogue import CatalogueError

DEBUG_IMAGE = "busybox:1.37.0"
CONTEXT = click.option("--context", metavar="NAME", help="The cluster, by kubectl's name for it [current].")


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except ClusterError as error:
        raise click.ClickException(str(error)) from error


def _seconds(_: click.Context, __: click.Parameter, text: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _of_catalogue(_: click.Context, __: click.Parameter, name: str) -> str:
    """A service's name, or a complaint that lists those of the catalogue."""
    try:
        return catalogue.load().service(name).name
    except CatalogueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@CONTEXT
@click.option("--timeout", default="15m", show_default=True, callback=_seconds, help="How long to wait.")
@click.option("--only", multiple=True, metavar="PARTS", help="These parts alone: web,car,collector …")
@click.option(
    "--without", multiple=True, metavar="PARTS", help="All but these, as of your own: elasticsearch …"
)
@click.argument("overlay", default="local")
def deploy(
    context: str | None, timeout: float, only: tuple[str, ...], without: tuple[str, ...], overlay: str
) -> None:
    """Bring an OVERLAY (local, production, a folder of yours) into a cluster and wait until it is ready."""
    parts = Parts(named(only), named(without))
    with _failures():
        deployment.deploy(Kubectl(context), overlay, click.echo, timeout, parts)
    click.echo("ready; `make port-forward` opens the pages")


@click.command()
@CONTEXT
@click.option("--data", is_flag=True, help="Volumes, Secrets and both namespaces too: nothing comes back.")
@click.argument("overlay", default="local")
def undeploy(context: str | None, data: bool, overlay: str) -> None:
    """Take an OVERLAY out of a cluster; volumes and Secrets stay."""
    with _failures():
        deployment.undeploy(Kubectl(context), overlay, data=data)


@click.command("port-forward")
@CONTEXT
@click.argument("services", nargs=-1)
def port_forward(context: str | None, services: tuple[str, ...]) -> None:
    """Open all pages of a cluster (or only SERVICES) at their ports of this machine, until Ctrl-C."""
    known = {each.service: each for each in forwards()}
    if unknown := [name for name in services if name not in known]:
        raise click.BadParameter(f"{unknown[0]!r} is not one of {', '.join(known)}", param_hint="SERVICES")
    chosen = tuple(known[name] for name in services) or tuple(known.values())
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with _failures():
        forward_all(Kubectl(context), chosen, lambda text: click.echo(text, err=True), ended)


@click.command()
@CONTEXT
@click.option("--shell/--no-shell", default=True, help="Open a shell beside the service at the end.")
@click.argument("service", callback=_of_catalogue)
def debug(context: str | None, shell: bool, service: str) -> None:
    """Look into SERVICE: its pods, its last lines, its latest failing trace, and a shell beside it."""
    kubectl = Kubectl(context)
    selector = f"app.kubernetes.io/name={service}"
    with _failures():
        kubectl.check()
        kubectl.run("get", "pods", "-n", NAMESPACE, "-l", selector, "-o", "wide", show=True)
        kubectl.run("logs", "-n", NAMESPACE, "-l", selector, "-c", "app", "--tail=20", "--prefix", show=True)
        _show_failing_trace(service)
        if not shell:
            return
        pods = kubectl.get("pods", "-n", NAMESPACE, "-l", selector, "--field-selector=status.phase=Running")[
            "items"
        ]
        if not pods:
            raise ClusterError(
                f"no pod of {service} is running; `kubectl describe pods -n {NAMESPACE} -l {selector}`"
            )
        name = pods[0]["metadata"]["name"]
        click.echo(f"a shell beside {name}: its network and its processes; `exit` ends it")
        # The image has no shell of its own; this one joins the pod while it runs, as restricted as the rest.
        command = kubectl.command(
            "debug", "-n", NAMESPACE, "-it", f"pod/{name}", f"--image={DEBUG_IMAGE}", "--target=app",
            "--profile=restricted", "--", "sh",
        )  # fmt: skip
        os.execvp(command[0], command)  # noqa: S606 - the shell takes over this terminal


def _show_failing_trace(service: str) -> None:
    """The newest trace of the service with an error, where `make port-forward` runs."""
    from dashcam.cluster.failing_trace import latest_failing_trace

    found = latest_failing_trace(service)
    click.echo(f"latest failing trace: {found}")
