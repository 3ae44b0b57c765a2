"""Programs that join a running stack and leave it again."""

from __future__ import annotations

import dataclasses
import sys

import httpx
import psutil
import pytest
from polling import until
from unit.stack.trial import STANDIN, Trial

from dashcam.stack import lifecycle, supervision
from dashcam.stack.ports import free_port
from dashcam.stack.programs import SERVICES, Program, url
from dashcam.stack.supervision import Supervisor, SupervisorError


def extra(**environ: str) -> Program:
    port = free_port()
    command = (sys.executable, str(STANDIN), str(port))
    return Program("extra", SERVICES, command, {"PORT": str(port), **environ}, ready=url(port, "/"))


def environ_of(program: Program) -> dict[str, str]:
    address = program.ready
    assert address
    found: dict[str, str] = until(lambda: httpx.get(address).json(), "the program to answer")
    return found


def joined(supervisor: Supervisor, program: Program) -> None:
    """Add it and wait until it answers.

    Until a new process has become its program, supervisord's own handler takes a SIGTERM and forgets it: the
    program would only end when it is killed, after its twenty seconds.
    """
    supervisor.add(program)
    environ_of(program)


def test_a_program_that_joins_has_its_environment_and_the_stacks(trial: Trial) -> None:
    trial.up()
    supervisor = Supervisor(trial.state_dir)
    program = extra(FAULTS=str(trial.state_dir / "faults-2.json"), ATTRIBUTES="a.b=c,d=e")
    supervisor.add(program)

    environ = environ_of(program)
    assert environ["FAULTS"] == str(trial.state_dir / "faults-2.json")
    assert environ["ATTRIBUTES"] == "a.b=c,d=e"
    assert environ["DASHCAM_STACK"] == str(trial.state_dir)


def test_a_program_that_leaves_is_gone_and_the_others_stay(trial: Trial) -> None:
    trial.up()
    pids = trial.pids()
    supervisor = Supervisor(trial.state_dir)
    joined(supervisor, extra())
    pid = supervisor.processes()["extra"].pid
    supervisor.remove("extra")

    assert "extra" not in supervisor.processes()
    assert not psutil.pid_exists(pid)
    assert trial.pids() == pids


def test_one_that_was_left_behind_is_replaced(trial: Trial) -> None:
    trial.up()
    supervisor = Supervisor(trial.state_dir)
    joined(supervisor, extra(NUMBER="1"))
    second = extra(NUMBER="2")
    supervisor.add(second)

    assert environ_of(second)["NUMBER"] == "2"


def test_down_ends_what_has_joined(trial: Trial) -> None:
    trial.up()
    supervisor = Supervisor(trial.state_dir)
    joined(supervisor, extra())
    pid = supervisor.processes()["extra"].pid
    assert trial.down()
    assert not psutil.pid_exists(pid)


def test_words_that_its_configuration_cannot_hold_are_refused(trial: Trial) -> None:
    trial.up()
    supervisor = Supervisor(trial.state_dir)
    program = extra()
    for word in ('a"b', "a;b", "%(ENV_PATH)s", "a b", "a\nb"):
        with pytest.raises(SupervisorError, match="cannot be given to a running supervisord"):
            supervisor.add(dataclasses.replace(program, command=(*program.command, word)))
        assert "extra" not in supervisor.processes()


def test_a_part_may_take_longer_to_end_than_supervisord_may_take_to_answer(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.modes["car"] = "stubborn"
    trial.grace = 3
    trial.up()
    pid = trial.pids()["car"]
    monkeypatch.setattr(supervision, "ANSWER_SECONDS", 1)

    assert lifecycle.stop_part(trial.asked(), "car", trial.said.append)

    assert not psutil.pid_exists(pid)
