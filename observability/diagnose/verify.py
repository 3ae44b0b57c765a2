"""Proof of the diagnosis: make a fault in a running stack, diagnose, compare, and see it recover."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from observability.diagnose import figures, observe, processes, verdict
from observability.diagnose.model import Diagnosis
from observability.diagnose.observe import Observed
from observability.diagnose.scenario import Scenario
from observability.diagnose.switches import Switches
from observability.sources import SourceError, Sources
from observability.stack.supervision import Supervisor

BASELINE = 45.0
"""Seconds without a fault before it, which are what is usual."""
NOTICE, RECOVERY = 60.0, 90.0
"""Seconds that the first signal of a fault, and the recovery from it, may take."""
REST = 15.0
POLL = 3.0

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""
"""A program that holds the write lock of a SQLite file until its standard input ends."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """What one scenario gave. Times are seconds since the fault was made; None: not seen.

    `passed` is the comparison of the first diagnosis after the signals had settled, asked once.
    """

    name: str
    expected: str
    named: str
    passed: bool
    signal: float | None = None
    alert: float | None = None
    verdict: float | None = None
    took: float | None = None
    recovered: float | None = None
    alarms: tuple[str, ...] = ()
    """Causes that were named before there was a fault."""
    seen: Observed | None = None
    """What the answer was made from."""


@dataclass(frozen=True)
class Bench:
    """A running stack to break: its sources, its state folder, and where the pages are."""

    sources: Sources
    state_dir: Path
    console: str = ""
    say: Say = print

    @contextmanager
    def broken(self, scenario: Scenario) -> Iterator[None]:
        """The fault, for as long as the block lasts."""
        switches = Switches(self.state_dir / "faults.json")
        with ExitStack() as undo:
            undo.callback(self._start_given_up)
            undo.callback(switches.all_off)
            for name in scenario.faults:
                switches.set(name, True)
            for name in scenario.stop:
                undo.enter_context(self._stopped(name))
            if scenario.lock:
                undo.enter_context(_locked(self.state_dir / "car.sqlite3"))
            yield

    def _start_given_up(self) -> None:
        """Start what its supervisor does not start any more, because it has ended too often."""
        supervisor = Supervisor(self.state_dir)
        for process in supervisor.processes().values():
            if process.given_up:
                supervisor.start_program(process)

    @contextmanager
    def _stopped(self, name: str) -> Iterator[None]:
        supervisor = Supervisor(self.state_dir)
        supervisor.stop_program(supervisor.processes()[name])
        try:
            yield
        finally:
            supervisor.start_program(supervisor.processes()[name])


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the write lock of a SQLite file, as a stuck migration or a forgotten shell does."""
    holder = subprocess.Popen(  # noqa: S603 - our own interpreter and the text above
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        if not holder.stdout.readline():
            raise RuntimeError(f"the database {path} could not be locked")
        yield
        holder.stdin.close()


def verify(bench: Bench, scenario: Scenario, baseline: float = BASELINE, rest: float = REST) -> Result:
    """Run one scenario. The stack must be up, with traffic, and without a fault.

    `rest` is in seconds and keeps what a rate still remembers of the fault out of the next baseline.
    """
    start = time.time()
    bench.say(f"{scenario.name}: {baseline:.0f} s of baseline")
    time.sleep(baseline)
    before = _diagnosed(bench, start)
    quiet = {one.name for one in bench.sources.metrics.alerts()}
    result = Result(scenario.name, " and ".join(map(str, scenario.expect)), "nothing", False)
    result = replace(result, alarms=tuple(c.summary for c in before.causes + before.telemetry))
    with bench.broken(scenario):
        made = time.time()
        result = replace(result, signal=_noticed(bench, start, made, result.alarms))
        settle = scenario.settle if result.signal is not None else 0.0
        time.sleep(settle)
        asked = time.monotonic()
        seen = verdict.observed(bench.sources, start, time.time(), bench.console)
        found = verdict.judge(seen)
        took = time.monotonic() - asked
        passed, named = scenario.judged(found)
        alert = _first_alert(bench, quiet, made)
        verdict_after = time.time() - made
    result = replace(
        result, passed=passed, named=named, alert=alert, verdict=verdict_after, took=took, seen=seen
    )
    bench.say(f"{scenario.name}: {'named' if passed else 'NOT named'}: {named}")
    result = replace(result, recovered=_recovered(bench))
    time.sleep(rest)
    return result


def _diagnosed(bench: Bench, start: float) -> Diagnosis:
    return verdict.diagnose(bench.sources, start, time.time(), bench.console)


def _noticed(bench: Bench, start: float, made: float, known: tuple[str, ...]) -> float | None:
    """Seconds until anything tells of the fault; None when nothing does in time."""
    while time.time() - made < NOTICE:
        found = _diagnosed(bench, start)
        fresh = [c for c in (*found.telemetry, *found.causes) if c.summary not in known]
        if any(symptom.step.end is None for symptom in found.symptoms) or fresh:
            return time.time() - made
        time.sleep(POLL)
    return None


def _first_alert(bench: Bench, quiet: set[str], made: float) -> float | None:
    """Seconds until the first alert that was not there before, as far as it became active by now."""
    with contextlib.suppress(SourceError):
        fresh = [a.active_at - made for a in bench.sources.metrics.alerts() if a.name not in quiet]
        return max(0.0, min(fresh)) if fresh else None
    return None


def _recovered(bench: Bench) -> float | None:
    """Seconds until nothing that users notice lasts, and every process answers; None when not in time."""
    over = time.time()
    while time.time() - over < RECOVERY:
        time.sleep(POLL)
        now = time.time()
        seen = observe.metrics(bench.sources, now - 120, now)
        stopped = [cause for cause in processes.causes(seen) if cause.kind == "down"]
        lasting = [symptom for symptom in figures.symptoms(seen) if symptom.step.end is None]
        if now - over > 12 and not stopped and not lasting and not seen.away:
            return now - over
    return None
