"""Up, down and status, on real processes of a stack of stand-ins."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from polling import until
from unit.stack.trial import Trial

from dashcam.stack import ownership, room, supervision
from dashcam.stack.lifecycle import StackError
from dashcam.stack.programs import SERVICES
from dashcam.stack.supervision import Supervisor


def environ_of(address: str) -> dict[str, str]:
    """A stand-in answers with its environment."""
    answer: dict[str, str] = httpx.get(address).json()
    return answer


def supervisor_of(trial: Trial) -> psutil.Process:
    parent = psutil.Process(trial.pids()["web"]).parent()
    assert parent is not None
    return parent


def gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) for pid in pids)


def test_up_returns_when_every_part_is_ready(trial: Trial) -> None:
    settings = trial.up()

    assert httpx.get(f"http://127.0.0.1:{settings.port('web')}/").status_code == 200
    status = trial.status()
    assert status.ready
    assert [part.name for part in status.parts] == ["receiver", "car", "web"]


def test_a_second_up_changes_nothing_and_says_so(trial: Trial) -> None:
    first = trial.up()
    pids = trial.pids()

    assert trial.up() == first
    assert trial.pids() == pids
    assert trial.said[-1] == "already up; nothing was changed"


def test_two_ups_at_once_start_one_stack(trial: Trial) -> None:
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(lambda _: trial.up(), range(2))

    assert first == second
    assert "already up; nothing was changed" in trial.said
    assert len({pid for pid in trial.pids().values() if pid}) == 3
    assert len(ownership.marked(trial.state_dir)) == 4


def test_down_ends_every_process_and_frees_the_ports(trial: Trial) -> None:
    settings = trial.up()
    pids = [*trial.pids().values(), supervisor_of(trial).pid]

    assert trial.down()
    assert gone(pids)
    for port in (settings.port("web"), settings.port("car"), settings.otlp_http_port):
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_down_twice_says_that_nothing_was_up(trial: Trial) -> None:
    trial.up()

    assert trial.down()
    assert not trial.down()


def test_down_of_a_folder_that_never_was_leaves_no_folder(trial: Trial) -> None:
    assert not trial.down()
    assert not trial.state_dir.exists()


def test_a_part_that_is_killed_is_started_again_and_counted(trial: Trial) -> None:
    trial.up()
    before = trial.pids()["car"]

    os.kill(before, signal.SIGKILL)

    until(lambda: trial.pids()["car"] not in (0, before), "car to be started again")
    until(lambda: trial.status().ready, "the stack to be ready again")
    restarts = {part.name: part.restarts for part in trial.status().parts}
    assert restarts == {"receiver": 0, "car": 1, "web": 0}


def test_a_part_that_keeps_failing_is_given_up_and_shown_so(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "START_RETRIES", 1)
    trial.modes["car"] = str(tmp_path / "broken")
    trial.up()
    (tmp_path / "broken").touch()

    os.kill(trial.pids()["car"], signal.SIGKILL)

    def states() -> dict[str, str]:
        return {part.name: part.state for part in trial.status().parts}

    expected = {"receiver": "ready", "car": "given up", "web": "ready"}
    until(lambda: states() == expected, lambda: f"car to be given up: {states()}", within=60)
    assert not trial.status().ready


def test_parts_that_take_requests_end_before_those_that_take_telemetry(trial: Trial) -> None:
    trial.grouped = True
    trial.up()

    trial.down()

    log = Supervisor(trial.state_dir).log.read_text()
    assert re.findall(r"stopped: (\w+)", log) == ["web", "car", "receiver"]


def test_a_part_that_cannot_start_makes_up_fail_with_its_last_words_and_leaves_nothing(trial: Trial) -> None:
    trial.modes["car"] = "failing"

    with pytest.raises(StackError, match=r"car ended (?s:.)*disk of the moon is full"):
        trial.up()

    assert ownership.marked(trial.state_dir) == []
    assert not trial.status().parts


def test_a_part_that_never_becomes_ready_makes_up_fail_after_the_time_limit(trial: Trial) -> None:
    trial.modes["car"] = "unready"

    with pytest.raises(StackError, match=r"car was not ready within 5 s: .* answers 503"):
        trial.up(STACK_START_TIMEOUT="5")

    assert ownership.marked(trial.state_dir) == []


def test_a_part_that_fails_after_a_while_makes_up_say_how_it_ended(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "START_SECONDS", 0)
    trial.modes["car"] = "failing"

    with pytest.raises(StackError, match="car ended with status 1\n"):
        trial.up()


def test_a_part_that_says_it_is_ready_but_does_not_listen_is_not_ready(trial: Trial) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        trial.listens = (server.getsockname()[1],)

    with pytest.raises(StackError, match=rf"127.0.0.1:{trial.listens[0]} accepts no connection"):
        trial.up(STACK_START_TIMEOUT="5")


def test_a_command_that_does_not_exist_is_named(trial: Trial) -> None:
    trial.commands["car"] = ("/no/such/program",)

    with pytest.raises(StackError, match="can't find command '/no/such/program'"):
        trial.up()


def test_up_starts_again_what_was_given_up_and_leaves_the_rest(trial: Trial, tmp_path: Path) -> None:
    trial.up()
    pids = trial.pids()
    address = f"unix://{Supervisor(trial.state_dir).socket}"
    stop = (sys.executable, "-m", "supervisor.supervisorctl", "-s", address, "stop", "services:car")
    subprocess.run(stop, check=True, capture_output=True)
    assert not trial.status().ready

    trial.up()

    assert trial.status().ready
    assert {name: pid for name, pid in trial.pids().items() if name != "car"} == {
        name: pid for name, pid in pids.items() if name != "car"
    }


def test_taken_ports_are_all_reported_with_owner_and_variable_before_anything_starts(trial: Trial) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("", 0)) as two:
        ports = {"WEB_PORT": str(one.getsockname()[1]), "OTLP_HTTP_PORT": str(two.getsockname()[1])}

        with pytest.raises(StackError, match="nothing was started") as failure:
            trial.up(frozenset(), **ports)

    for variable, port in ports.items():
        assert f"port {port} is taken by pid {os.getpid()} (" in str(failure.value)
        assert f"set {variable} to another port" in str(failure.value)
    assert ownership.marked(trial.state_dir) == []


def test_up_with_another_port_than_the_running_stack_asks_for_down_first(trial: Trial) -> None:
    settings = trial.up()

    with pytest.raises(StackError, match=rf"WEB_PORT=5999 \(running: {settings.port('web')}\)"):
        trial.up(explicit=frozenset({"WEB_PORT"}), WEB_PORT="5999")

    assert trial.status().ready


def test_a_file_that_the_running_stack_does_not_know_is_not_passed_over(trial: Trial, tmp_path: Path) -> None:
    file = tmp_path / "dashcam.toml"
    file.write_text("")
    trial.up()

    with pytest.raises(
        StackError, match=r"DASHCAM_FILE=\S+dashcam.toml \(running: unset\): `make down` first"
    ):
        trial.up(explicit=frozenset({"DASHCAM_FILE"}), DASHCAM_FILE=str(file))


def test_a_program_that_came_into_the_file_meanwhile_is_not_passed_over(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.up()
    plan = trial.plan
    monkeypatch.setattr(
        trial, "plan", lambda settings: [*plan(settings), trial._program("shop", SERVICES, 1)]
    )

    with pytest.raises(
        StackError, match=r"other programs than those that are up \(shop\): `make down` first"
    ):
        trial.up()


def test_what_a_killed_supervisor_left_is_shown_and_ended_by_down(trial: Trial) -> None:
    trial.up()
    pids = trial.pids()
    supervisor_of(trial).kill()
    until(lambda: trial.status().leftover, "the supervisor to be gone")

    assert set(trial.status().leftover) == set(pids.values())
    assert trial.down()
    assert gone(list(pids.values()))


def test_up_after_a_killed_supervisor_ends_the_old_parts_and_starts_new_ones(trial: Trial) -> None:
    settings = trial.up()
    pids = list(trial.pids().values())
    supervisor_of(trial).kill()
    until(lambda: trial.status().leftover, "the supervisor to be gone")

    trial.up(CAR_PORT=str(settings.port("car")))

    assert gone(pids)
    assert trial.status().ready


def test_down_finds_its_processes_after_the_state_folder_was_deleted(trial: Trial) -> None:
    trial.up()
    pids = list(trial.pids().values())
    shutil.rmtree(trial.state_dir)

    assert trial.down()
    assert gone(pids)


def test_stale_files_of_a_run_before_a_reboot_do_not_disturb(trial: Trial) -> None:
    trial.up()
    folder = trial.state_dir / "supervisor"
    trial.down()
    (folder / "supervisord.pid").write_text("1\n")  # after a reboot this id is another process
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(folder / "supervisor.sock"))

    assert not trial.down()
    assert psutil.pid_exists(1)
    trial.up()
    assert trial.status().ready


def test_down_kills_a_part_that_ignores_sigterm(trial: Trial) -> None:
    trial.modes["car"] = "stubborn"
    trial.grace = 1
    trial.up()
    pids = list(trial.pids().values())

    assert trial.down()
    assert gone(pids)


def test_down_leaves_processes_of_others_alone(trial: Trial, tmp_path: Path) -> None:
    trial.up()
    other = Trial(tmp_path / "other")
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        other.up()
        trial.down()
        assert other.status().ready
        assert bystander.poll() is None
    finally:
        other.down()
        bystander.communicate(b"\n")


def test_a_folder_with_odd_characters_works(tmp_path: Path) -> None:
    trial = Trial(tmp_path / "a ; #folder 100% %(odd)s 'so'")
    try:
        trial.up()
        assert trial.status().ready
        assert (trial.state_dir / "logs" / "web.log").read_text()
    finally:
        assert trial.down()


def test_a_folder_too_deep_for_a_socket_works(tmp_path: Path) -> None:
    trial = Trial(tmp_path / ("deep" * 30))
    try:
        trial.up()
        assert trial.status().ready
    finally:
        assert trial.down()
    assert not Supervisor(trial.state_dir).socket.exists()


def test_only_the_user_may_open_the_supervisors_socket(trial: Trial) -> None:
    trial.up()

    supervisor = Supervisor(trial.state_dir)
    assert supervisor.socket.stat().st_mode & 0o777 == 0o700
    assert supervisor.folder.stat().st_mode & 0o777 == 0o700


def test_programs_get_the_callers_environment_without_foreign_exporters(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://elsewhere:4318")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=blue")
    monkeypatch.setenv("PORT", "1")

    settings = trial.up()

    environ = environ_of(f"http://127.0.0.1:{settings.port('web')}/")
    assert "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" not in environ
    assert "OTEL_SERVICE_NAME" not in environ
    assert environ["OTEL_TRACES_SAMPLER"] == "always_off"
    assert environ["OTEL_RESOURCE_ATTRIBUTES"] == "team=blue,deployment.environment.name=local"
    assert environ["PORT"] == str(settings.port("web"))
    assert environ["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://127.0.0.1:{settings.otlp_http_port}"
    assert environ["HOST"] == "127.0.0.1"


def test_stdout_and_stderr_go_to_files_of_their_own(trial: Trial) -> None:
    trial.modes["car"] = "chatty"
    trial.up()

    logs = trial.state_dir / "logs"
    until(lambda: (logs / "car.stderr").read_text() == "said aside\n", "stderr in its file")
    assert "said aside" not in (logs / "car.log").read_text()


def test_an_unusable_state_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    trial = Trial(tmp_path / "file" / "state")

    with pytest.raises(StackError, match="set DASHCAM_STATE_DIR"):
        trial.up()


def test_a_full_disk_is_named_before_anything_is_started(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "LEAST", 2**62)
    with pytest.raises(StackError, match=r"nothing was started: the disk of .*, mounted at /.* MiB left"):
        trial.up()
    assert not (trial.state_dir / "supervisor").exists()


def test_a_disk_that_does_not_say_how_large_it_is_is_not_taken_for_a_full_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.statvfs", lambda folder: os.statvfs_result((4096, 4096, *[0] * 8)))
    assert room.lacking(tmp_path) is None


def test_a_disk_that_takes_no_more_is_named_whatever_it_says_of_its_room(tmp_path: Path) -> None:
    limited = (
        "import resource, sys; from pathlib import Path; from dashcam.stack import room;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); print(room.lacking(Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, tmp_path], capture_output=True, text=True, check=True
    )
    assert f"the disk of {tmp_path}, mounted at" in done.stdout
    assert "set DASHCAM_STATE_DIR to a folder on another one" in done.stdout
    assert room.lacking(tmp_path) is None
