"""`make up`, `make down` and `make status`, as functions."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from dashcam.stack import ownership, readiness, room, state
from dashcam.stack.ports import choose_free, unusable
from dashcam.stack.programs import Program, common_environ, programs, write_configurations
from dashcam.stack.settings import Settings, read
from dashcam.stack.supervision import Process, Supervisor, SupervisorError

POLL_SECONDS = 0.1

SHUTDOWN_SECONDS = 600.0
"""When a supervisord that agreed to end is not believed any more; it kills in time what does not end."""

LEFTOVER_SECONDS = 20.0
"""How long processes that nothing supervises may take to end before they are killed."""

FAILED_STARTS = 2
"""A part that has ended this often while `up` waits for it is not waited for any longer."""

Say = Callable[[str], None]
Plan = Callable[[Settings], Sequence[Program]]


class StackError(RuntimeError):
    """`up` or `down` could not do what was asked; the message says why and what to do."""


@dataclass(frozen=True)
class Part:
    """One program of a running stack: `reason` says why it is not ready; `since` is in epoch seconds."""

    name: str
    ready: bool
    state: str
    reason: str
    pid: int
    since: float
    restarts: int
    address: str
    about: str


@dataclass(frozen=True)
class Status:
    """What is up. `leftover` are processes of the stack that nothing supervises any more."""

    state_dir: Path
    parts: tuple[Part, ...]
    leftover: tuple[int, ...] = ()

    @property
    def ready(self) -> bool:
        return bool(self.parts) and all(part.ready for part in self.parts)


def up(
    settings: Settings, say: Say = print, *, explicit: frozenset[str] = frozenset(), plan: Plan = programs
) -> Settings:
    """Start what is not running and wait until every part is ready; answers the settings it runs under.

    Where the stack is up, it is left as it is, and only parts that were given up are started again;
    `explicit` names the variables that the caller has set, which must then agree with it.
    Raises StackError, SupervisorError or MissingProgram. A start that fails or is interrupted is undone.
    """
    with _exclusive(settings.state_dir, say):
        supervisor = Supervisor(settings.state_dir)
        if supervisor.running():
            return _join(supervisor, settings, explicit, plan, say)
        if left := ownership.end(settings.state_dir, LEFTOVER_SECONDS):
            say(f"ended {len(left)} processes that an earlier run had left behind")
        return _start(supervisor, settings, plan, say)


def down(settings: Settings, say: Say = print) -> bool:
    """End everything that `up` started for this state folder, and nothing else; False when nothing was up.

    The parts that take requests end first, those that take in telemetry last. What does not end within
    its time is killed.
    """
    if not settings.state_dir.exists() and not ownership.marked(settings.state_dir):
        return False
    with _exclusive(settings.state_dir, say):
        return _end(Supervisor(settings.state_dir), state.recorded_settings(settings), say)


def stop_part(settings: Settings, name: str, say: Say = print) -> bool:
    """End one part and leave the others, to see what its absence does; False when it was not running.

    It ends as in `down`, by SIGTERM and in its time. Raises StackError for a part that does not exist.
    """
    with _exclusive(settings.state_dir, say):
        supervisor = Supervisor(settings.state_dir)
        process = _part_named(supervisor, name)
        if process.given_up:
            return False
        supervisor.stop_program(process)
        return True


def start_part(
    settings: Settings, name: str, say: Say = print, *, plan: Plan = programs, wait: bool = True
) -> bool:
    """Start one part again and `wait` until it is ready; False when it was running. Raises StackError."""
    with _exclusive(settings.state_dir, say):
        supervisor = Supervisor(settings.state_dir)
        process = _part_named(supervisor, name)
        if not process.given_up:
            return False
        supervisor.start_program(process)
        if not wait:
            return True
        running = state.recorded_settings(settings)
        parts = [part for part in plan(running) if part.name == name]
        _wait(supervisor, parts, running.start_timeout, say)
        return True


def running_settings() -> Settings:
    """The settings of the stack that is up. Raises StackError where none is."""
    settings = state.recorded_settings(read())
    if not Supervisor(settings.state_dir).running():
        raise StackError("nothing is up; `make up` starts it")
    return settings


def refuse_part_name(settings: Settings, name: str) -> None:
    """Raise StackError where a part of the stack has this name: its lines would be mixed with the part's."""
    if name in Supervisor(settings.state_dir).processes():
        raise StackError(f"{name!r} is a part of the stack: give another name with --name")


def _part_named(supervisor: Supervisor, name: str) -> Process:
    if not supervisor.running():
        raise StackError("nothing is up; `make up` starts it")
    processes = supervisor.processes()
    if name not in processes:
        raise StackError(f"there is no part {name!r}: give one of {', '.join(processes)}")
    return processes[name]


def status(settings: Settings, plan: Plan = programs) -> Status:
    """What of the stack of this state folder is up and ready, under the settings it was started with."""
    supervisor = Supervisor(settings.state_dir)
    try:
        processes = supervisor.processes()
    except SupervisorError:
        left = tuple(process.pid for process in ownership.marked(settings.state_dir))
        return Status(settings.state_dir, (), left)
    parts = [part for part in plan(state.recorded_settings(settings)) if part.name in processes]
    reasons = readiness.ask_all([part for part in parts if processes[part.name].alive])
    restarts = supervisor.restarts()
    return Status(
        settings.state_dir,
        tuple(_part(p, processes[p.name], reasons.get(p.name), restarts.get(p.name, 0)) for p in parts),
    )


def _part(program: Program, process: Process, reason: str | None, restarts: int) -> Part:
    if not process.alive:
        reason = _ended(process)
    return Part(
        program.name,
        ready=reason is None,
        state="ready" if reason is None else _state(process),
        reason=reason or "",
        pid=process.pid,
        since=process.started,
        restarts=restarts,
        address=program.address,
        about=program.about,
    )


def _state(process: Process) -> str:
    if process.alive:
        return "not ready"
    return {"BACKOFF": "restarting", "FATAL": "given up", "STOPPING": "stopping"}.get(
        process.state, "stopped"
    )


def _start(supervisor: Supervisor, settings: Settings, plan: Plan, say: Say) -> Settings:
    if refused := unusable(settings):
        raise StackError("nothing was started:\n" + "\n".join(f"  {port}" for port in refused))
    if full := room.lacking(settings.state_dir):
        raise StackError(f"nothing was started: {full}")
    settings = choose_free(settings)
    parts = plan(settings)
    for told in write_configurations(settings):
        say(told)
    state.write_settings(settings)
    environ = {**state.inherited_environ(), **common_environ(settings)}
    environ[ownership.MARK] = str(settings.state_dir)
    try:
        supervisor.start(parts, environ)
        _wait(supervisor, parts, settings.start_timeout, say)
    except BaseException:
        say("ending what was started …")
        _end(supervisor, settings, say)
        raise
    return settings


def _join(
    supervisor: Supervisor, settings: Settings, explicit: frozenset[str], plan: Plan, say: Say
) -> Settings:
    running = state.recorded_settings(settings)
    asked, have = settings.as_environ(), running.as_environ()
    differing = sorted(name for name in explicit if asked.get(name) not in ("0", have.get(name)))
    if differing:
        told = ", ".join(
            f"{name}={asked.get(name)} (running: {have.get(name, 'unset')})" for name in differing
        )
        raise StackError(f"the stack is up with other settings than {told}: `make down` first")
    parts, processes = plan(running), supervisor.processes()
    if others := {part.name for part in parts} ^ processes.keys():
        told = ", ".join(sorted(others))
        raise StackError(
            f"{running.own_file} has other programs than those that are up ({told}): `make down` first"
        )
    for process in (given_up := [process for process in processes.values() if process.given_up]):
        say(f"starting {process.name} again")
        supervisor.start_program(process)
    if not given_up and not any(readiness.ask_all(parts).values()):
        say("already up; nothing was changed")
        return running
    _wait(supervisor, parts, running.start_timeout, say)
    return running


def _wait(supervisor: Supervisor, parts: Sequence[Program], timeout: float, say: Say) -> None:
    """Wait until every part is ready. Raises StackError for the first that fails, with its last log lines."""
    began, since = time.monotonic(), time.time()
    waiting = {part.name: part for part in parts}
    ends: dict[str, set[float]] = {part.name: set() for part in parts}
    reasons: dict[str, str | None] = {}
    while waiting:
        processes = supervisor.processes()
        for name in waiting:
            if processes[name].state == "BACKOFF":
                ends[name].add(processes[name].started)
            if processes[name].given_up or len(ends[name]) >= FAILED_STARTS:
                raise _failed(supervisor, name, _ended(processes[name]), since)
        reasons = readiness.ask_all(
            [part for part in waiting.values() if _may_be_asked(part, processes[part.name])]
        )
        for name in [name for name, reason in reasons.items() if reason is None]:
            del waiting[name]
            say(f"  {name:<14} ready after {time.monotonic() - began:4.1f} s")
        if waiting and time.monotonic() - began > timeout:
            name = next(iter(waiting))
            reason = reasons.get(name) or _ended(processes[name])
            raise _failed(supervisor, name, f"was not ready within {timeout:g} s: {reason}", since)
        if waiting:
            time.sleep(POLL_SECONDS)


def _may_be_asked(part: Program, process: Process) -> bool:
    """A part without a readiness URL counts as ready once it has run for a while."""
    return process.alive if part.ready else process.state == "RUNNING"


def _ended(process: Process) -> str:
    """Why it is not running: its command could not be run, or how it ended."""
    if process.error.startswith("Exited too quickly"):  # supervisord then forgets the status
        return "ended right after its start, and again"
    if process.error and not process.error.startswith("Bad exit code"):
        return process.error
    return f"ended with status {process.exit_status}"


def _failed(supervisor: Supervisor, name: str, reason: str, since: float) -> StackError:
    said = readiness.last_lines(supervisor.logs, name, since)
    # A program that finds the disk full cannot write so.
    full = room.lacking(supervisor.state_dir)
    return StackError(f"{name} {reason}\n{said}" + (f"\n{full}" if full else ""))


def _end(supervisor: Supervisor, settings: Settings, say: Say) -> bool:
    was_up = False
    with contextlib.suppress(SupervisorError, psutil.NoSuchProcess):
        process = psutil.Process(supervisor.shut_down())
        was_up = True
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(timeout=SHUTDOWN_SECONDS)
    left = ownership.end(settings.state_dir, LEFTOVER_SECONDS)
    if left:
        say(f"ended {len(left)} processes that nothing supervised any more")
    for path in (
        supervisor.socket,
        supervisor.folder / "supervisord.pid",
        state.settings_file(settings.state_dir),
    ):
        path.unlink(missing_ok=True)
    return was_up or bool(left)


@contextlib.contextmanager
def _exclusive(state_dir: Path, say: Say) -> Iterator[None]:
    """One `up` or `down` at a time for a state folder."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        file = (state_dir / "lock").open("w")
    except OSError as error:
        raise StackError(
            f"the state folder {state_dir} cannot be used: {error.strerror}; set DASHCAM_STATE_DIR"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another `up` or `down` of {state_dir} to end")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
