"""A stack of three stand-in programs: the real supervisor and lifecycle, without the real parts' weight."""

from __future__ import annotations

import sys
from pathlib import Path

from dashcam.stack import lifecycle
from dashcam.stack.programs import BACKEND, SERVICES, TRAFFIC, Program, url
from dashcam.stack.settings import Settings, read

STANDIN = Path(__file__).with_name("standin.py")
FREE_PORTS = dict.fromkeys(read({}).ports(), "0")


class Trial:
    """A stack of stand-ins in a folder of its own, and what it said; `modes` change how a program behaves."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.modes: dict[str, str] = {}
        self.commands: dict[str, tuple[str, ...]] = {}
        self.said: list[str] = []
        self.grace = 3
        self.listens: tuple[int, ...] = ()
        # One group each as in the real stack takes supervisord a second each to end.
        self.grouped = False

    def asked(self, **variables: str) -> Settings:
        start = {"STACK_START_TIMEOUT": "120", **FREE_PORTS, **variables}
        return read({**start, "DASHCAM_STATE_DIR": str(self.state_dir)})

    def plan(self, settings: Settings) -> list[Program]:
        return [
            self._program("receiver", BACKEND, settings.otlp_http_port),
            self._program("car", SERVICES, settings.port("car")),
            self._program("web", TRAFFIC, settings.port("web")),
        ]

    def _program(self, name: str, group: str, port: int) -> Program:
        words = (sys.executable, str(STANDIN), str(port), *self.modes.get(name, "").split())
        command = self.commands.get(name, words)
        group = group if self.grouped else SERVICES
        ready = url(port, "/")
        return Program(
            name, group, command, {"PORT": str(port)}, ready, self.listens, url(port), stop_seconds=self.grace
        )

    def up(self, explicit: frozenset[str] = frozenset(), **variables: str) -> Settings:
        return lifecycle.up(self.asked(**variables), self.said.append, explicit=explicit, plan=self.plan)

    def down(self) -> bool:
        return lifecycle.down(self.asked(), self.said.append)

    def status(self) -> lifecycle.Status:
        return lifecycle.status(self.asked(), plan=self.plan)

    def pids(self) -> dict[str, int]:
        return {part.name: part.pid for part in self.status().parts}
