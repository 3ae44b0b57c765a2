"""`dashcam scenario list` and `dashcam scenario verify`."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from observability.console.cli.session import failures, one_line, table
from observability.diagnose import recording, results
from observability.diagnose.scenario import BadScenario, Scenario, load
from observability.diagnose.verify import BASELINE, Bench, Result, verify
from observability.settings import from_environ
from observability.sources import SourceSettings, connect
from observability.stack import lifecycle
from observability.stack.settings import Settings, read

RATE = "12"
"""Requests a second that the traffic of a stack for scenarios sends: enough for figures within seconds."""


@click.group()
def scenario() -> None:
    """Break the stack on purpose and see whether the diagnosis names the cause."""


@scenario.command("list")
def list_() -> None:
    """Show every scenario and the cause that it expects."""
    rows = [["scenario", "what happens", "expected cause"]]
    for one in _load().values():
        rows.append([one.name, one.title, " and ".join(map(str, one.expect))])
    table(rows)


@scenario.command("verify")
@click.argument("names", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every scenario.")
@click.option("--running", is_flag=True, help="Break the stack that is up, instead of one of its own.")
@click.option("--baseline", default=BASELINE, show_default=True, help="Seconds without a fault before each.")
@click.option("--junit", type=click.Path(path_type=Path), help="Also write JUnit's XML here.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Also write a table in Markdown here.")
@click.option(
    "--record", type=click.Path(path_type=Path), help="Keep what each diagnosis saw in this folder."
)
def verify_(
    names: tuple[str, ...],
    every: bool,
    running: bool,
    baseline: float,
    junit: Path | None,
    markdown: Path | None,
    record: Path | None,
) -> None:
    """Run scenarios one after the other: baseline, fault, diagnosis, comparison, recovery.

    They run in a stack of their own on free ports, with livelier traffic. Exit status 1 unless the
    diagnosis named every cause first. One takes about two minutes.
    """
    signal.signal(signal.SIGTERM, _interrupted)
    chosen = _chosen(names, every)
    done = []
    with failures(), _bench(running) as bench:
        for one in chosen:
            done.append(verify(bench, one, baseline))
            _write(done, junit, markdown, record)
    table([[one_line(cell, 100) for cell in row] for row in results.table(done)])
    for result in done:
        for alarm in result.alarms:
            click.echo(f"{result.name}: named without a fault: {one_line(alarm)}")
    if not all(result.passed for result in done):
        sys.exit(1)


def _interrupted(signum: int, frame: FrameType | None) -> None:
    """End by an exception, so that the stack that was started is ended too."""
    raise SystemExit(128 + signum)


def _write(done: list[Result], junit: Path | None, markdown: Path | None, record: Path | None) -> None:
    """After each scenario, so that a run that is cut off has left something."""
    if junit:
        junit.write_text(results.junit(done), encoding="utf-8")
    if markdown:
        markdown.write_text(results.markdown(done), encoding="utf-8")
    if record and (seen := done[-1].seen):
        record.mkdir(parents=True, exist_ok=True)
        recording.write(seen, record / f"{done[-1].name}.json.gz")


def _load() -> Mapping[str, Scenario]:
    try:
        return load()
    except BadScenario as error:
        raise click.ClickException(str(error)) from error


def _chosen(names: tuple[str, ...], every: bool) -> list[Scenario]:
    known = _load()
    if every == bool(names):
        raise click.UsageError("give the names of scenarios, or --all; `dashcam scenario list` shows them")
    if unknown := [name for name in names if name not in known]:
        raise click.UsageError(f"there is no scenario {unknown[0]!r}: give one of {', '.join(known)}")
    return list(known.values()) if every else [known[name] for name in names]


@contextmanager
def _bench(running: bool) -> Iterator[Bench]:
    """The stack that is up, or one of its own that ends with the block."""
    if running:
        asked = read()
        if not lifecycle.status(asked).ready:
            raise click.ClickException("the stack is not up: `make up`, or leave out --running")
        from observability.stack.state import recorded_settings

        yield bench_of(recorded_settings(asked))
        return
    with tempfile.TemporaryDirectory(prefix="dashcam-scenarios-") as folder:
        free = dict.fromkeys(Settings().ports(), "0")
        own = {**free, "TRAFFIC": "on", "TRAFFIC_RATE": os.environ.get("TRAFFIC_RATE") or RATE}
        asked = read({**own, "DASHCAM_STATE_DIR": str(Path(folder) / "state")})
        try:
            yield bench_of(lifecycle.up(asked, click.echo))
        finally:
            lifecycle.down(asked, click.echo)


def bench_of(settings: Settings) -> Bench:
    """The bench of a stack that runs under `settings`."""
    environ = {name: str(value) for name, value in settings.as_environ().items()}
    sources = connect(from_environ(SourceSettings, environ))
    console = f"http://localhost:{settings.console_port}"
    return Bench(sources, settings.state_dir, console, click.echo)
