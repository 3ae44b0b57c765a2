"""`dashcam up`, `down` and `status` as a person calls them, on a stack of stand-ins."""

from __future__ import annotations

import functools
import json
import socket

import pytest
from click.testing import CliRunner, Result
from unit.stack.trial import FREE_PORTS, Trial

from dashcam.cli.main import main
from dashcam.stack import lifecycle


@pytest.fixture(autouse=True)
def standins(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands drive the stand-ins, in the trial's folder, on free ports."""
    for function in (lifecycle.up, lifecycle.status):
        monkeypatch.setattr(lifecycle, function.__name__, functools.partial(function, plan=trial.plan))
    for variable, value in {**FREE_PORTS, "DASHCAM_STATE_DIR": str(trial.state_dir)}.items():
        monkeypatch.setenv(variable, value)


def dashcam(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def test_up_shows_progress_and_the_addresses(trial: Trial) -> None:
    result = dashcam("up")

    assert result.exit_code == 0, result.output
    assert "receiver       ready after" in result.output
    assert "Everything is ready after" in result.output
    for part in trial.status().parts:
        assert part.address in result.output


def test_up_fails_with_the_reason_and_without_a_traceback(trial: Trial) -> None:
    trial.modes["web"] = "failing"

    result = dashcam("up")

    assert result.exit_code == 1
    assert "Error: web ended " in result.output
    assert "the disk of the moon is full" in result.output
    assert "Traceback" not in result.output


def test_up_names_a_taken_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("WEB_PORT", str(taken.getsockname()[1]))
        result = dashcam("up")

    assert result.exit_code == 1
    assert "is taken by pid" in result.output


@pytest.mark.parametrize("command", ["up", "down", "status"])
def test_a_setting_that_cannot_be_used_is_a_message(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("WEB_PORT", "front door")

    result = dashcam(command)

    assert result.exit_code == 1
    assert result.output == "Error: WEB_PORT='front door' cannot be used: give a whole number\n"


def test_status_needs_no_variables_but_the_folder(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    dashcam("up")
    for variable in FREE_PORTS:
        monkeypatch.delenv(variable)

    result = dashcam("status")

    assert result.exit_code == 0
    for part in trial.status().parts:
        assert part.address in result.output


def test_status_as_json_says_what_is_up_since_when_and_where(trial: Trial) -> None:
    dashcam("up")

    shown = json.loads(dashcam("status", "--json").output)

    assert shown["ready"] is True, shown
    assert [part["name"] for part in shown["parts"]] == ["receiver", "car", "web"]
    assert {part["state"] for part in shown["parts"]} == {"ready"}
    assert all(part["pid"] > 0 and part["since"] > 0 and part["restarts"] == 0 for part in shown["parts"])


def test_status_fails_when_nothing_is_up() -> None:
    result = dashcam("status")

    assert result.exit_code == 1
    assert result.output == "nothing is up; `make up` starts it\n"


def test_down_says_what_it_did() -> None:
    dashcam("up")

    assert dashcam("down").output == "ended\n"
    assert dashcam("down").output == "nothing was up\n"
