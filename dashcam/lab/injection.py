"""Breaking a running stack in the way a scenario says, for as long as a block lasts."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dashcam.lab import second_instance, slowclients
from dashcam.lab.scenario import Scenario
from dashcam.sources import Sources
from dashcam.sources.switches import Switches
from dashcam.stack.programs import LOOPBACK, url
from dashcam.stack.settings import Settings
from dashcam.stack.supervision import Supervisor

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""
"""A program that holds the write lock of a SQLite file until its standard input ends."""

DECOY_LEAD = 8.0
"""Seconds from something harmless to the fault that it must not be taken for."""


FILLER = """
import asyncio, sys, nats

async def main(url, name):
    connection = await nats.connect(url)
    stream = connection.jetstream()
    config = (await stream.stream_info(name)).config
    await stream.update_stream(config.evolve(max_bytes=1))
    print("held", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await stream.update_stream(config)
    await connection.close()

asyncio.run(main(*sys.argv[1:]))
"""
"""A program that leaves a stream of NATS no room until its standard input ends."""


class Interrupted(Exception):
    """What ran on a bench was told to end."""


Say = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """A running stack to break: its settings, its sources, and where the pages are."""

    settings: Settings
    sources: Sources
    console: str = ""
    say: Say = print
    over: threading.Event = field(default_factory=threading.Event)
    """Set it to end what runs on this bench."""

    def sleep(self, seconds: float) -> None:
        """Wait; raises Interrupted where `over` is set meanwhile."""
        if self.over.wait(max(0.0, seconds)):
            raise Interrupted("the run was ended")

    @contextmanager
    def broken(self, scenario: Scenario) -> Iterator[float]:
        """The fault, for as long as the block lasts; answers the Unix time at which it was made."""
        state_dir = self.settings.state_dir
        switches = Switches(state_dir / "faults.json")
        with ExitStack() as undo:
            undo.callback(self._start_given_up)
            if scenario.decoy:
                undo.enter_context(self.broken(scenario.decoy))
                self.sleep(DECOY_LEAD)
            undo.callback(switches.all_off)
            for name, flag in scenario.flags.items():
                undo.callback(switches.drop, name)
                switches.add(name, flag)
            for name in scenario.faults:
                switches.set(name, True)
            for name in scenario.stop:
                undo.enter_context(self._stopped(name))
            if scenario.lock:
                undo.enter_context(_locked(state_dir / "car.sqlite3"))
            if scenario.full:
                undo.enter_context(_full(self.settings.nats_port, scenario.full))
            if scenario.twin:
                undo.enter_context(second_instance.running(scenario.twin, self.settings))
            if scenario.slow_clients:
                cars, token = url(self.settings.port("car"), "/cars"), os.environ.get("CAR_WRITE_TOKEN")
                undo.enter_context(slowclients.sending(cars, scenario.slow_clients, token))
            yield time.time()

    def _start_given_up(self) -> None:
        """Start what its supervisor does not start any more, because it has ended too often."""
        supervisor = Supervisor(self.settings.state_dir)
        for process in supervisor.processes().values():
            if process.given_up:
                supervisor.start_program(process)

    @contextmanager
    def _stopped(self, name: str) -> Iterator[None]:
        supervisor = Supervisor(self.settings.state_dir)
        supervisor.stop_program(supervisor.processes()[name])
        try:
            yield
        finally:
            supervisor.start_program(supervisor.processes()[name])


def _locked(path: Path) -> AbstractContextManager[None]:
    """Hold the write lock of a SQLite file, as a stuck migration or a forgotten shell does."""
    return _held(HOLDER, str(path))


def _full(port: int, stream: str) -> AbstractContextManager[None]:
    """Leave a stream of the broker no room, as one whose consumers are away for long has none."""
    return _held(FILLER, f"nats://{LOOPBACK}:{port}", stream)


@contextmanager
def _held(program: str, *arguments: str) -> Iterator[None]:
    """Run a program that holds on to something while the block lasts."""
    holder = subprocess.Popen(  # noqa: S603 - our own interpreter and one of the texts above
        [sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        if not holder.stdout.readline():
            raise RuntimeError(f"{', '.join(arguments)} could not be held")
        yield
        holder.stdin.close()
