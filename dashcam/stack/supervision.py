"""supervisord: its configuration, its start, and talking to it.

One supervisord per state folder keeps the programs running. It listens on a Unix socket that only its
user may open. Its own files are named relative to the state folder, where it runs. Whatever else may
hold odd characters reaches it through the environment and is named in the configuration as `%(ENV_…)s`,
because its ini format cannot quote a ` ;`, a ` #` or a `%`.
"""

from __future__ import annotations

import configparser
import contextlib
import hashlib
import http.client
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dashcam.stack.programs import GROUPS, Program
from dashcam.stack.settings import ROOT

LOG_BYTES = "10MB"
LOG_BACKUPS = 3
"""A program's log is rotated at LOG_BYTES and keeps LOG_BACKUPS older files, so 40 MB at most."""

START_RETRIES = 5
START_SECONDS = 2
"""A program that keeps ending within START_SECONDS is given up after START_RETRIES growing pauses."""

ANSWER_SECONDS = 10
"""How long supervisord may take to answer."""

LEAVE_SECONDS = 60.0
"""How long a program that leaves may take to end; supervisord kills it when its own time is up."""

_PLAIN = re.compile(r"[A-Za-z0-9_./:=,+@-]*")
"""What a word of a program that is added later may hold."""

_SOCKET_PATH_LIMIT = 90
"""A Unix socket's path may have 104 bytes (macOS); supervisord first binds it with `.PID` appended."""


class SupervisorError(RuntimeError):
    """supervisord did not start or does not answer."""


@dataclass(frozen=True)
class Process:
    """A program as supervisord sees it. `started` is seconds since the epoch; `pid` is 0 when it is not up.

    `state` is supervisord's: STARTING, RUNNING, BACKOFF, STOPPING, STOPPED, EXITED, FATAL or UNKNOWN.
    """

    name: str
    group: str
    state: str
    pid: int
    started: float
    exit_status: int
    error: str

    @property
    def alive(self) -> bool:
        return self.state in ("STARTING", "RUNNING")

    @property
    def given_up(self) -> bool:
        return self.state in ("FATAL", "EXITED", "STOPPED", "UNKNOWN")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over a Unix socket, with a time limit: a supervisord that hangs must not hang its caller."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path)
        self._connection = host, connection  # what the proxy closes
        return connection


class Supervisor:
    """The supervisord of one state folder, running or not."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.folder = state_dir / "supervisor"
        self.logs = state_dir / "logs"
        self.log = self.folder / "supervisord.log"
        self.socket = _socket_path(self.folder)

    def running(self) -> bool:
        """Whether a supervisord answers for this folder."""
        try:
            self.processes()
        except SupervisorError:
            return False
        return True

    def start(self, programs: Sequence[Program], environ: Mapping[str, str]) -> None:
        """Write the configuration and start supervisord, detached, with `environ` for all programs.

        Returns when supervisord has taken the programs up, which says nothing about their readiness.
        Raises SupervisorError with its message when it does not.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self.logs.mkdir(parents=True, exist_ok=True)
        for old in self.folder.glob("supervisord.log*"):
            old.unlink()  # the restarts of this run are counted from it
        names = {
            f"DASHCAM_COMMAND_{i}_{j}": arg for i, p in enumerate(programs) for j, arg in enumerate(p.command)
        }
        variables = {
            **environ,
            **names,
            "DASHCAM_ROOT": str(ROOT),
            "DASHCAM_PYTHON": sys.executable,
            "DASHCAM_SOCKET": str(self.socket),
        }
        config = self.folder / "supervisord.conf"
        with config.open("w") as file:
            self._configuration(programs).write(file)
        done = subprocess.run(  # noqa: S603 - our own interpreter and a file written above
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)],
            cwd=self.state_dir,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )
        if done.returncode != 0:
            raise SupervisorError(f"supervisord did not start: {(done.stderr or done.stdout).strip()}")

    def processes(self) -> dict[str, Process]:
        """Every program by name. Raises SupervisorError when no supervisord answers."""
        return {info["name"]: _process(info) for info in self._call("supervisor.getAllProcessInfo")}

    def start_program(self, process: Process) -> None:
        """Start a program that is not running; returns at once."""
        self._call("supervisor.startProcess", f"{process.group}:{process.name}", False)

    def stop_program(self, process: Process) -> None:
        """End a program that is running; returns once it has ended, and it is not started again.

        Raises SupervisorError where it does not end.
        """
        self._call("supervisor.stopProcess", f"{process.group}:{process.name}", False)
        # Asked again and again: it may take longer to end than supervisord may take to answer.
        deadline = time.monotonic() + LEAVE_SECONDS
        while not self.processes()[process.name].given_up:
            if time.monotonic() > deadline:
                raise SupervisorError(f"{process.name} did not end within {LEAVE_SECONDS:g} s")
            time.sleep(0.1)

    def add(self, program: Program) -> None:
        """Start one more program, in a group of its own, until `remove` or the end; returns at once.

        One of the same name that was added before, and left behind, is ended first.
        The environment of a running supervisord cannot be added to, so words that its configuration
        cannot hold are refused: all but letters, digits and a few signs, the interpreter's path excepted.
        Raises SupervisorError.
        """
        if program.name in self.processes():
            self.remove(program.name)
        words = [_plain_word(word, {sys.executable: "DASHCAM_PYTHON"}) for word in program.command]
        folder = {str(self.state_dir): "DASHCAM_STACK"}
        environ = {name: _plain_word(value, folder) for name, value in program.environ.items()}
        self._configure(program.name, _section(words, replace(program, environ=environ)))
        self._call("supervisor.reloadConfig")
        self._call("supervisor.addProcessGroup", program.name)

    def remove(self, name: str) -> None:
        """End a program that `add` started, and forget it once it has ended. Raises SupervisorError."""
        process = self.processes()[name]
        if not process.given_up:
            self.stop_program(process)
        self._call("supervisor.removeProcessGroup", name)
        self._configure(name, None)
        self._call("supervisor.reloadConfig")

    def _configure(self, name: str, section: Mapping[str, str] | None) -> None:
        """Write one program's part of the configuration anew, or take it out."""
        path = self.folder / "supervisord.conf"
        config = configparser.RawConfigParser()
        config.read(path)
        config.remove_section(f"program:{name}")
        if section is not None:
            config[f"program:{name}"] = section
        with path.open("w") as file:
            config.write(file)

    def shut_down(self) -> int:
        """Ask supervisord to end every program and itself; answers its pid. Returns at once."""
        pid: int = self._call("supervisor.getPID")
        self._call("supervisor.shutdown")
        return pid

    def restarts(self) -> dict[str, int]:
        """How often each program has been started again since this supervisord began."""
        counts: dict[str, int] = {}
        for path in (self.log.with_name("supervisord.log.1"), self.log):
            with contextlib.suppress(FileNotFoundError):
                for line in path.read_text(errors="replace").splitlines():
                    if "INFO spawned: '" in line:
                        name = line.split("'")[1]
                        counts[name] = counts.get(name, 0) + 1
        return {name: count - 1 for name, count in counts.items()}

    def _configuration(self, programs: Sequence[Program]) -> configparser.RawConfigParser:
        config = configparser.RawConfigParser()
        _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        config["unix_http_server"] = {"file": "%(ENV_DASHCAM_SOCKET)s", "chmod": "0700"}
        config["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        }
        config["supervisord"] = {
            "logfile": "supervisor/supervisord.log",
            "logfile_maxbytes": "5MB",
            "logfile_backups": "1",
            "pidfile": "supervisor/supervisord.pid",
            "childlogdir": "supervisor",
            "minfds": str(4096 if hard_limit == resource.RLIM_INFINITY else min(4096, hard_limit)),
            "minprocs": "64",
            "nocleanup": "true",
        }
        if os.geteuid() == 0:
            config["supervisord"]["user"] = "root"  # said, so that supervisord does not warn of it
        for index, program in enumerate(programs):
            words = [f"%(ENV_DASHCAM_COMMAND_{index}_{n})s" for n in range(len(program.command))]
            config[f"program:{program.name}"] = _section(words, program)
        for priority, group in enumerate(GROUPS):
            if names := [program.name for program in programs if program.group == group]:
                config[f"group:{group}"] = {"programs": ",".join(names), "priority": str(priority)}
        return config

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            transport = _UnixTransport(self.socket)
            with xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=transport) as proxy:
                return getattr(proxy, method)(*arguments)
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise SupervisorError(f"supervisord of {self.state_dir} does not answer: {error}") from error


def _section(words: Sequence[str], program: Program) -> dict[str, str]:
    """The configuration of one program; `words` are its command's, written so that it can be read."""
    section = {
        "command": " ".join(f'"{word}"' for word in words),
        "directory": "%(ENV_DASHCAM_ROOT)s",
        "autorestart": "true",
        "startsecs": str(START_SECONDS),
        "startretries": str(START_RETRIES),
        "stopsignal": "TERM",
        "stopwaitsecs": str(program.stop_seconds),
        "killasgroup": "true",  # a worker must not outlive its parent
    }
    if program.environ:
        section["environment"] = ",".join(f'{name}="{value}"' for name, value in program.environ.items())
    # stdout is the program's JSON lines, which the receiver tails; stderr is kept apart so that
    # a traceback or a library's chatter cannot land in the middle of such a line.
    for stream, suffix in (("stdout", "log"), ("stderr", "stderr")):
        section[f"{stream}_logfile"] = f"logs/{program.name}.{suffix}"
        section[f"{stream}_logfile_maxbytes"] = LOG_BYTES
        section[f"{stream}_logfile_backups"] = str(LOG_BACKUPS)
    return section


def _plain_word(text: str, known: Mapping[str, str]) -> str:
    """`text` for the configuration, what is `known` of it by the variable that holds it."""
    before, found, after = text, "", ""
    for value, variable in known.items():
        if value in text:
            before, _, after = text.partition(value)
            found = f"%(ENV_{variable})s"
    if odd := [part for part in (before, after) if not _PLAIN.fullmatch(part)]:
        raise SupervisorError(f"{odd[0]!r} cannot be given to a running supervisord: use letters and digits")
    return before + found + after


def _process(info: Mapping[str, Any]) -> Process:
    return Process(
        info["name"],
        info["group"],
        info["statename"],
        info["pid"],
        float(info["start"]),
        info["exitstatus"],
        info["spawnerr"],
    )


def _socket_path(folder: Path) -> Path:
    path = folder / "supervisor.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
        return path
    # Too deep for the system's limit: a name of its own in the short temporary folder.
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"dashcam-{os.getuid()}-{digest}.sock"
