"""The lines that the three services really write: started, asked all sorts of things, and ended."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3
from exampleservices import LAST, QUOTE, ROUTE
from polling import until
from watchdog import Watchdog

from dashcam.stack.ports import free_ports

ROOT = Path(__file__).parents[2]
TOKEN = "writes-allowed"


@dataclass(frozen=True)
class Written:
    """One row that a container's runtime would keep."""

    service: str
    stream: str
    text: str


class Services:
    """The services of a quote on free ports, their standard streams in files of `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {name: free_ports(2) for name in reversed(QUOTE)}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._watchdogs: list[Watchdog] = []
        self._http = urllib3.PoolManager(retries=False, timeout=30)

    @contextmanager
    def running(self) -> Iterator[None]:
        """All three, ready; ended with the block."""
        with ExitStack() as stack:
            stack.callback(lambda: [each.close() for each in self._watchdogs])
            stack.callback(self._end)
            for name in self._ports:
                self._start(name)
            for name, (_, admin) in self._ports.items():
                ready = f"http://127.0.0.1:{admin}/readyz"
                until(
                    lambda ready=ready: self._http.request("GET", ready).status == 200,
                    f"{name} is ready",
                    within=60,
                )
            yield

    def _start(self, name: str) -> None:
        port, admin = self._ports[name]
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PORT": str(port),
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(admin),
            # Nobody is there: the exporter's own complaints are lines too.
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            **{f"{each.upper()}_URL": self.url(each) for each in QUOTE},
            "CAR_WRITE_TOKEN": TOKEN,
            "DASHCAM_STATE_DIR": str(self._folder),
            "DASHCAM_FAULTS_FILE": str(self._faults()),
            "LOG_LEVEL": "DEBUG",
        }
        with (self._file(name, "stdout")).open("wb") as out, (self._file(name, "stderr")).open("wb") as err:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", f"services.{name}"],
                cwd=self._folder,
                env=environ,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self._watchdogs.append(Watchdog([self._running[name].pid]))

    def _faults(self) -> Path:
        """The last one raises where y is 1000 or more: what a line says of what nobody expected."""
        flags = json.loads((ROOT / "scenarios" / "flags.json").read_text())
        flags["flags"]["minus-failing"] |= {"state": "ENABLED"}
        path = self._folder / "flags.json"
        path.write_text(json.dumps(flags))
        return path

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name][0]}"

    def ask(
        self, name: str, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, str]:
        """The answer's status and the id of its trace."""
        answer = self._http.request(method, self.url(name) + path, body=body, headers=headers, redirect=False)
        trace = re.fullmatch(r"00-([0-9a-f]{32})-.*", answer.headers.get("traceresponse", ""))
        return answer.status, trace[1] if trace else ""

    def end(self, name: str) -> None:
        """End one service in an orderly way."""
        process = self._running[name]
        if process.poll() is None:
            process.terminate()
            process.wait(30)

    def _end(self) -> None:
        left = [process for process in self._running.values() if process.poll() is None]
        for process in left:
            process.terminate()
        # All at once: each tries for as long as it may to send its last spans, which nobody takes.
        for process in left:
            process.wait(30)
        self._http.clear()

    def lose_the_catalogue(self) -> None:
        """Take the table of cars away while `car` runs."""
        with sqlite3.connect(self._folder / "car.sqlite3") as database:
            database.execute("DROP TABLE cars")
        database.close()

    def refuse_to_start(self) -> None:
        """Start `car` with a setting that it cannot use."""
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PORT": "a port"}
        command = [sys.executable, "-m", "services.car"]
        with self._file("car", "stdout").open("ab") as out:
            ended = subprocess.run(command, cwd=self._folder, env=environ, stdout=out, timeout=60)
        assert ended.returncode != 0

    def written(self) -> list[Written]:
        """Every row of every service, in the order of writing for each."""
        return [
            Written(name, stream, row)
            for name in self._ports
            for stream in ("stdout", "stderr")
            for row in self._file(name, stream).read_text(errors="surrogateescape").splitlines()
        ]

    def _file(self, name: str, stream: str) -> Path:
        return self._folder / f"{name}.{stream}"


def exercise(services: Services) -> dict[str, str]:
    """Ordinary, wrong and odd requests, a dependency that goes, an exception; ids of some traces."""
    traces = {}
    allowed = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    services.ask("web", "/")
    _, traces["page"] = services.ask("web", "/cars/bentz/e-class?discount=500")
    services.ask("web", "/nothing-here")
    services.ask("car", "/cars?min_rating=9.8&sort=-price")
    services.ask("car", "/cars?min_rating=much")
    services.ask("car", "/cars", "POST", b"{}")
    services.ask("car", "/cars", "POST", b"{}", authorization="Bearer guessed-wrong")
    services.ask("car", "/cars", "POST", b'{"maker": ', **allowed)
    services.ask("car", "/cars/bentz/e-class", "DELETE", **allowed)
    services.ask("car", "/cars/gr%C3%B6%C3%9Fe/%F0%9F%9A%97")
    services.ask("car", "/cars/" + "x" * 3000)
    services.ask("car", "/cars?token=very-secret&x=%00%ff", **{"user-agent": 'an "odd" agent ' + "y" * 900})
    services.ask("car", "/cars", "BREW")
    services.ask(LAST.name, f"{ROUTE}?x=5&y=five")
    services.ask(LAST.name, f"{ROUTE}?x=1" + "0" * 400 + "&y=3")
    _, traces["exception"] = services.ask(LAST.name, f"{ROUTE}?x=5000&y=1500")
    services.end(LAST.name)
    for _ in range(3):
        _, traces["away"] = services.ask("car", "/cars/bentz/s-class/quote?discount=500")
    services.lose_the_catalogue()
    services.ask("car", "/cars/bentz")
    _, traces["unavailable"] = services.ask("web", "/cars/bentz/s-class")
    services.refuse_to_start()
    return traces
