"""Running a program of one's own: its output, signals, restarts and exit status."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import IO, Any

from dashcam.stack.file_watch import Watched
from dashcam.stack.own_metrics import MetricsFinder
from dashcam.stack.own_output import IDLE_SECONDS, Output
from dashcam.stack.own_program import OwnProgram
from dashcam.stack.settings import Settings

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
LINGER_SECONDS = 0.5
"""How long the output may stay open once the program has ended, held by a child that it left."""

RESTART_SECONDS = 10.0
"""How long a program may take to end before a restart kills it."""

_CHUNK = 65536


class NotStarted(RuntimeError):
    """The command could not be run."""


class Run:
    """One `dashcam run`. Must be used in the main thread, because signals are."""

    def __init__(
        self, program: OwnProgram, settings: Settings, say: Callable[[str], None], *, show: bool = True
    ) -> None:
        self._program = program
        self._settings = settings
        self._say = say
        self._child: subprocess.Popen[bytes] | None = None
        self._told: int | None = None
        streams = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}
        shown = {name: stream if show else None for name, stream in streams.items()}
        self._output = Output(settings.state_dir / "logs", program.name, shown)

    def to_its_end(self, metrics_port: int | None = None, watched: Watched | None = None) -> int:
        """Run until the program ends; its exit status, 128 and the signal's number where one ended it.

        With `watched`, it is started again when a file changes. Raises NotStarted.
        """
        try:
            with self._signals():
                while True:
                    restart, status = self._once(metrics_port, watched)
                    if not restart:
                        return status
                    self._say("a file has changed: starting again")
        finally:
            self._output.close()

    def _once(self, metrics_port: int | None, watched: Watched | None) -> tuple[bool, int]:
        program = self._program
        child = self._started()
        self._child = child
        if self._told is not None:
            child.send_signal(self._told)  # it came before there was anyone to give it to
        about = {"dashcam.program": "started", "process.pid": child.pid}
        command = " ".join(program.command)
        self._output.say(f"started: {command}", "INFO", about | {"service.instance.id": program.instance})
        finder = MetricsFinder(
            self._settings.state_dir, program.name, program.instance, metrics_port, self._say
        )
        finder.start(child.pid)
        try:
            restart = self._pass_on(child, watched)
            status = _status(child.wait())
        finally:
            finder.end()
        severity = "INFO" if status == 0 or restart or self._told else "ERROR"
        about = {"dashcam.program": "ended", "process.exit.code": status}
        self._output.say(f"ended with status {status}", severity, about)
        return restart and self._told is None, status

    def _started(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603 - the command that a person gave
                self._program.command,
                env=dict(self._program.environ),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
            )
        except OSError as error:
            raise NotStarted(f"{self._program.command[0]}: {error.strerror}") from error

    def _pass_on(self, child: subprocess.Popen[bytes], watched: Watched | None) -> bool:
        """Pass the output on until the program has ended; whether a changed file ended it."""
        restart, ended, kill_at = False, 0.0, 0.0
        with selectors.DefaultSelector() as selector:
            for name, pipe in _pipes(child):
                selector.register(pipe, selectors.EVENT_READ, self._output.streams[name])
            while selector.get_map() and not (ended and time.monotonic() - ended > LINGER_SECONDS):
                self._read(selector)
                now = time.monotonic()
                if child.poll() is not None:
                    ended = ended or now
                elif kill_at and now > kill_at:
                    child.kill()
                elif watched and not restart and watched.changed():
                    restart, kill_at = True, now + RESTART_SECONDS
                    child.terminate()
        for _, pipe in _pipes(child):
            pipe.close()
        return restart

    def _read(self, selector: selectors.BaseSelector) -> None:
        for key, _ in selector.select(IDLE_SECONDS):
            if data := os.read(key.fd, _CHUNK):
                key.data.take(data)
            else:
                selector.unregister(key.fileobj)
        for stream in self._output.streams.values():
            stream.settle()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        before: dict[int, Any] = {number: signal.signal(number, self._forward) for number in FORWARDED}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _forward(self, number: int, frame: FrameType | None) -> None:
        self._told = number
        if self._child is None or (number in (signal.SIGINT, signal.SIGQUIT) and _from_terminal()):
            return  # a terminal gives it to the whole group, the program included
        with contextlib.suppress(ProcessLookupError):
            self._child.send_signal(number)


def _pipes(child: subprocess.Popen[bytes]) -> list[tuple[str, IO[bytes]]]:
    pairs = (("stdout", child.stdout), ("stderr", child.stderr))
    return [(name, pipe) for name, pipe in pairs if pipe is not None]


def _from_terminal() -> bool:
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def _status(code: int) -> int:
    return code if code >= 0 else 128 - code
