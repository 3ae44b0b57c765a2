"""`dashcam scenario list` and `dashcam scenario verify`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

import click

from dashcam.cli.session import failures, one_line, table
from dashcam.diagnose import recording
from dashcam.lab import job_runner, results
from dashcam.lab.drawn import draw
from dashcam.lab.injection import Bench, Say
from dashcam.lab.job_runner import Job
from dashcam.lab.scenario import BadScenario, Scenario, load
from dashcam.lab.verify import BASELINE, Result
from dashcam.sources import SourceSettings, connect
from dashcam.stack import lifecycle
from dashcam.stack.settings import Settings, read
from dashcam.stack.state import recorded_settings
from observability.settings import from_environ

RATE = "12"
"""Requests a second that the traffic of a stack for scenarios sends: enough for figures within seconds."""
SOURCE_TIMEOUT = "20"
"""Seconds that a source may take to answer here."""


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
@click.option("--all", "every", is_flag=True, help="Every scenario but those of orders.")
@click.option("--orders", is_flag=True, help="Those of orders and messages, in traffic that orders cars.")
@click.option("--healthy", default=0, metavar="N", help="Also N runs without a fault, under changing load.")
@click.option("--drawn", default=0, metavar="N", help="Also N scenarios that seeds draw.")
@click.option("--seed", default=1, show_default=True, help="The first of those seeds.")
@click.option("--running", is_flag=True, help="Break the stack that is up, instead of one of its own.")
@click.option(
    "--stacks", default=1, show_default=True, type=click.IntRange(1, 4), help="Stacks side by side."
)
@click.option(
    "--again",
    default=0,
    metavar="N",
    help="Run once more, alone on a fresh stack, what was not named, if that is N of them at most.",
)
@click.option("--baseline", default=BASELINE, show_default=True, help="Seconds without a fault before each.")
@click.option("--junit", type=click.Path(path_type=Path), help="Also write JUnit's XML here.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Also write a table in Markdown here.")
@click.option(
    "--record", type=click.Path(path_type=Path), help="Keep what each diagnosis saw in this folder."
)
def verify_(
    names: tuple[str, ...],
    every: bool,
    orders: bool,
    healthy: int,
    drawn: int,
    seed: int,
    running: bool,
    stacks: int,
    again: int,
    baseline: float,
    junit: Path | None,
    markdown: Path | None,
    record: Path | None,
) -> None:
    """Run scenarios one after the other: baseline, fault, diagnosis, comparison, recovery.

    They run in a stack of their own on free ports, with livelier traffic. The recovery from one counts for
    the baseline of the next. Exit status 1 unless the diagnosis named every cause first, and nothing where
    nothing was wrong. One takes about a minute and a half. With --again, what was missed on a machine that
    is busy with others has a second try, and the table says so.
    """
    signal.signal(signal.SIGTERM, _interrupted)
    if running and stacks > 1:
        raise click.UsageError("--running breaks the one stack that is up: leave out --stacks")
    chosen = _chosen(names, every, orders, healthy or drawn)
    ordered = orders or any(one.orders for one in chosen)
    chosen += [draw(number) for number in range(seed, seed + drawn)]
    jobs = job_runner.jobs(chosen, healthy)
    kept: list[Result] = []
    with failures():
        for result in job_runner.run(jobs, lambda number: _bench(running, number, ordered), stacks, baseline):
            kept.append(result)
            _write(kept, junit, markdown, record)
        missed = [one for one in chosen if any(result.name == one.name and result.wrong for result in kept)]
        if 0 < len(missed) <= again:
            click.echo(f"once more, alone: {', '.join(one.name for one in missed)}")
            for one in missed:
                (result,) = job_runner.run(
                    [Job(one.name, one)], lambda n: _bench(running, n, ordered), 1, baseline
                )
                kept = [replace(result, tries=2) if each.name == one.name else each for each in kept]
                _write(kept, junit, markdown)
    order = [one.name for one in chosen]
    kept.sort(key=lambda one: order.index(one.name) if one.name in order else -1)
    _write(kept, junit, markdown)
    table([[one_line(cell, 100) for cell in row] for row in results.table(kept)])
    for result in kept:
        for alarm in result.alarms:
            click.echo(f"{result.name}: named without a fault: {one_line(alarm)}")
    if any(result.wrong for result in kept):
        sys.exit(1)


@scenario.command()
@click.argument("name")
def hold(name: str) -> None:
    """Break the running stack as the scenario NAME does, until Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupted)
    (one,) = _chosen((name,), False, False, 0)
    with (
        failures(),
        _bench(True, 1, True) as bench,
        contextlib.suppress(KeyboardInterrupt),
        bench.broken(one),
    ):
        click.echo(f"{one.title}. Ctrl-C takes it back.")
        while True:
            signal.pause()


def _interrupted(signum: int, frame: FrameType | None) -> None:
    """End by an exception, so that the stack that was started is ended too."""
    raise SystemExit(128 + signum)


def _write(done: list[Result], junit: Path | None, markdown: Path | None, record: Path | None = None) -> None:
    """After each scenario, so that a run that is cut off has left something."""
    for path in (junit, markdown):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
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


def _chosen(names: tuple[str, ...], every: bool, orders: bool, others: int) -> list[Scenario]:
    """Return the named ones, or all of one traffic: beside orders nothing else is as it is without them."""
    known = _load()
    every = every or orders
    if (every and names) or not (every or names or others):
        raise click.UsageError("give the names of scenarios, or --all; `dashcam scenario list` shows them")
    if unknown := [name for name in names if name not in known]:
        raise click.UsageError(f"there is no scenario {unknown[0]!r}: give one of {', '.join(known)}")
    return (
        [one for one in known.values() if one.orders == orders] if every else [known[name] for name in names]
    )


@contextmanager
def _bench(running: bool, number: int, orders: bool) -> Iterator[Bench]:
    """The stack that is up, or one of its own that ends with the block."""
    if running:
        asked = read()
        if not lifecycle.status(asked).ready:
            raise click.ClickException("the stack is not up: `make up`, or leave out --running")
        yield bench_of(recorded_settings(asked))
        return
    with tempfile.TemporaryDirectory(prefix="dashcam-scenarios-") as folder:
        free = dict.fromkeys(read({}).ports(), "0")
        own = {**free, "TRAFFIC": "on", "TRAFFIC_RATE": os.environ.get("TRAFFIC_RATE") or RATE}
        own["TRAFFIC_ORDERS"] = "on" if orders else "off"
        asked = read({**own, "DASHCAM_STATE_DIR": str(Path(folder) / "state")})
        try:
            click.echo(f"starting stack {number}")
            yield bench_of(lifecycle.up(asked, lambda said: None), say=_saying(number))
        finally:
            lifecycle.down(asked, lambda said: None)


def _saying(number: int) -> Say:
    return lambda text: click.echo(f"{time.strftime('%H:%M:%S')} [{number}] {text}")


def bench_of(settings: Settings, say: Say = click.echo) -> Bench:
    """The bench of a stack that runs under `settings`."""
    environ = {name: str(value) for name, value in settings.as_environ().items()}
    # One who waits for a bench on a machine that is busy wants the answer, and not that it came late.
    environ["SOURCE_TIMEOUT"] = SOURCE_TIMEOUT
    sources = connect(from_environ(SourceSettings, environ))
    return Bench(settings, sources, f"http://localhost:{settings.console_port}", say)
