"""What the console's page does to the parts of a stack, on real processes of stand-ins."""

from __future__ import annotations

import pytest
from polling import until
from unit.stack.trial import Trial

from dashcam.console.parts import CannotSwitch
from dashcam.stack.console_parts import StackParts


def state_of(parts: StackParts, name: str) -> str:
    return next(part.state for part in parts.all() if part.name == name)


def test_a_part_is_stopped_and_started_again_without_being_waited_for(trial: Trial) -> None:
    parts = StackParts("console", trial.up(), trial.plan)
    before = trial.pids()["car"]
    parts.stop("car")
    assert state_of(parts, "car") == "stopped"
    parts.start("car")
    until(lambda: state_of(parts, "car") == "ready", "car being ready again", within=60)
    assert trial.pids()["car"] not in (0, before)


def test_what_is_no_part_or_not_up_is_said(trial: Trial) -> None:
    parts = StackParts("console", trial.up(), trial.plan)
    with pytest.raises(CannotSwitch, match="there is no part 'cat'"):
        parts.stop("cat")
    trial.down()
    with pytest.raises(CannotSwitch, match="nothing is up"):
        parts.start("car")
