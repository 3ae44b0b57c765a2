"""`dashcam run`: a program's output, signals and status are passed on, and its lines are kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from polling import until
from unit.stack.trial import Trial

from dashcam.cli.main import main
from dashcam.stack.file_watch import Watched
from dashcam.stack.own_output import LogFile
from dashcam.stack.own_program import prepared
from dashcam.stack.settings import read

RUN = """
import sys
from pathlib import Path
from dashcam.stack.own_program import prepared
from dashcam.stack.own_run import Run
from dashcam.stack.file_watch import Watched
from dashcam.stack.settings import read
import os
settings = read({"DASHCAM_STATE_DIR": sys.argv[1]})
program = prepared(sys.argv[3:], settings, os.environ, name="orders", instrument=False)
watched = Watched(Path(sys.argv[2])) if sys.argv[2] else None
sys.exit(Run(program, settings, lambda text: print(text, file=sys.stderr)).to_its_end(None, watched))
"""


class Started:
    """`python -c code` under `dashcam run`."""

    def __init__(self, folder: Path, code: str, watch: str = "") -> None:
        self._folder = folder
        command = [sys.executable, "-c", RUN, str(folder), watch, sys.executable, "-c", code]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out.decode(), err.decode()

    def lines(self) -> list[dict[str, Any]]:
        file = self._folder / "logs" / "orders.log"
        return [json.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []

    def told(self) -> list[dict[str, Any]]:
        """The program's own lines."""
        return [line for line in self.lines() if "dashcam.program" not in line]


Start = Callable[..., Started]
"""`start(code, watch="")`: a program of that Python code under `dashcam run`."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Started] = []

    def begin(code: str, watch: str = "") -> Started:
        made.append(Started(tmp_path / "state", code, watch))
        return made[-1]

    yield begin
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def test_output_is_shown_and_kept_and_the_status_is_the_programs(start: Start) -> None:
    run = start("import sys; print('to out'); print('WARNING to err', file=sys.stderr); sys.exit(7)")
    status, out, err = run.end()
    assert (status, out, err) == (7, "to out\n", "WARNING to err\n")
    kept = {line["message"]: line for line in run.lines()}
    assert all(line["service"] == "orders" for line in kept.values())
    assert kept["WARNING to err"]["severity"] == "WARNING"
    assert kept["to out"]["timestamp"]
    assert kept["ended with status 7"]["severity"] == "ERROR"
    assert [line["dashcam.program"] for line in run.lines() if "dashcam.program" in line] == [
        "started",
        "ended",
    ]


def test_a_traceback_is_one_line_that_is_an_error(start: Start) -> None:
    run = start("print('before', flush=True)\ndef f(): raise KeyError('x')\nf()")
    assert run.end()[0] == 1
    (line,) = [line for line in run.told() if line["message"] != "before"]
    assert line["message"].startswith("Traceback (most recent call last):")
    assert line["message"].endswith("KeyError: 'x'")
    assert line["severity"] == "ERROR"


def test_json_of_another_logger_is_kept_under_our_names_as_this_service(start: Start) -> None:
    written = {"level": 50, "time": 1795359999123, "msg": "no stock", "service": "its-own-name"}
    run = start(f"print({json.dumps(written)!r})")
    run.end()
    (line,) = run.told()
    assert (line["message"], line["severity"], line["service"]) == ("no stock", "ERROR", "orders")
    assert line["service.original"] == "its-own-name"
    assert line["timestamp"].startswith("2026-11-22T15:06:39.123")


def test_a_line_is_kept_while_the_program_runs_and_without_its_colours(start: Start) -> None:
    run = start("import time; print('\\x1b[31mred\\x1b[0m', flush=True); time.sleep(600)")
    until(lambda: [line["message"] for line in run.told()] == ["red"], "the line to be kept")
    run.process.send_signal(signal.SIGTERM)
    assert run.end()[0] == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_is_passed_on(start: Start, number: signal.Signals) -> None:
    code = (
        "import signal, sys, time\n"
        "def got(n, f): print('got', n, flush=True); sys.exit(n + 30)\n"
        "for n in (1, 2, 10, 15): signal.signal(n, got)\n"
        "print('ready', flush=True)\n"
        "while True: time.sleep(0.05)"
    )
    run = start(code)
    until(lambda: run.told(), "the program to be ready")
    run.process.send_signal(number)
    status, out, _ = run.end()
    assert (status, out) == (number + 30, f"ready\ngot {number.value}\n")


def test_a_changed_file_starts_it_again(start: Start, tmp_path: Path) -> None:
    source = tmp_path / "watched" / "app.py"
    source.parent.mkdir()
    source.write_text("1")
    run = start("import time; print('up', flush=True); time.sleep(600)", watch=str(source.parent))
    until(lambda: len(run.told()) == 1, "the first start")
    source.write_text("23")
    os.utime(source, ns=(1, 1))
    until(lambda: len(run.told()) == 2, "the second start")
    run.process.send_signal(signal.SIGTERM)
    assert run.end()[0] == 128 + signal.SIGTERM


def test_a_command_that_does_not_exist_is_an_error_that_names_it(start: Start, tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUN, str(tmp_path), "", "no-such-program"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "no-such-program: No such file" in done.stderr


def test_two_of_one_name_write_to_files_of_their_own_and_a_file_is_rotated(tmp_path: Path) -> None:
    first, second = LogFile(tmp_path, "orders", limit=100), LogFile(tmp_path, "orders", limit=100)
    second.write(b"2")
    for number in range(12):
        first.write(b"%02d" % number * 20)
    first.close()
    assert (tmp_path / "orders~2.log").read_bytes() == b"2\n"
    assert sorted(path.name for path in tmp_path.glob("orders.log*")) == [
        "orders.log", "orders.log.1", "orders.log.2", "orders.log.3",
    ]  # fmt: skip
    assert (tmp_path / "orders.log").read_bytes().endswith(b"11" * 20 + b"\n")
    third = LogFile(tmp_path, "orders")
    third.write(b"again")
    assert (tmp_path / "orders.log").read_bytes().endswith(b"again\n")
    third.close()
    second.close()


# -- its environment and command ----------------------------------------------------------------


SETTINGS = read({"OTLP_HTTP_PORT": "14318"})


def script(folder: Path, name: str, first: str = "#!/usr/bin/env python3\n") -> Path:
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(first)
    path.chmod(0o755)
    return path


def test_the_standard_variables_are_set_and_what_a_person_has_set_wins() -> None:
    given = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://elsewhere:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": "token=secret",
        "OTEL_TRACES_SAMPLER": "always_off",
        "OTEL_RESOURCE_ATTRIBUTES": "team=a,deployment.environment.name=mine",
    }
    program = prepared(["true"], SETTINGS, given, name="or ders", port=5055)
    environ = program.environ
    assert (program.name, environ["OTEL_SERVICE_NAME"], environ["PORT"]) == ("or-ders", "or-ders", "5055")
    assert environ["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:14318"
    assert "OTEL_EXPORTER_OTLP_HEADERS" not in environ  # of the place it no longer goes to
    assert environ["OTEL_TRACES_SAMPLER"] == "always_off"
    attributes = dict(pair.split("=") for pair in environ["OTEL_RESOURCE_ATTRIBUTES"].split(","))
    assert attributes == {
        "team": "a", "deployment.environment.name": "mine", "service.instance.id": program.instance,
    }  # fmt: skip


def test_the_name_is_the_one_asked_for_else_the_variables_else_the_folders(tmp_path: Path) -> None:
    variable = {"OTEL_SERVICE_NAME": "variable"}
    assert prepared(["true"], SETTINGS, variable, name="asked").name == "asked"
    assert prepared(["true"], SETTINGS, variable).name == "variable"
    assert prepared(["true"], SETTINGS, {}, folder=tmp_path / "my shop").name == "my-shop"


def test_a_python_program_is_instrumented_by_the_stock_program_of_its_environment(tmp_path: Path) -> None:
    flask = script(tmp_path, "flask")
    without = prepared([str(flask), "run"], SETTINGS, {})
    assert without.command == (str(flask), "run")
    assert "opentelemetry-instrument" in without.note

    agent = script(tmp_path, "opentelemetry-instrument")
    assert prepared([str(flask), "run"], SETTINGS, {}).command == (str(agent), str(flask), "run")
    assert prepared([str(flask)], SETTINGS, {}, instrument=False).command == (str(flask),)
    node = script(tmp_path, "node", "\x7fELF")
    assert prepared([str(node)], SETTINGS, {}).command == (str(node),)

    (tmp_path / "lib" / "python3.11" / "site-packages" / "dashcam_observability-1.dist-info").mkdir(
        parents=True
    )
    assert prepared([str(flask)], SETTINGS, {}).command == (str(flask),)
    assert prepared([str(flask)], SETTINGS, {}, instrument=True).command == (str(agent), str(flask))


# -- its files ------------------------------------------------------------------------------------


def test_only_source_files_are_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashcam.stack.file_watch.SECONDS", 0)
    (tmp_path / "node_modules").mkdir()
    watched = Watched(tmp_path)
    (tmp_path / "node_modules" / "a.js").write_text("x")
    (tmp_path / "out.log").write_text("x")
    assert not watched.changed()
    (tmp_path / "a.js").write_text("x")
    assert watched.changed()
    assert not watched.changed()


# -- the command --------------------------------------------------------------------------------


def test_without_a_stack_the_command_says_what_to_do(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["run", "--", "true"], env={"DASHCAM_STATE_DIR": str(tmp_path)})
    assert done.exit_code == 1
    assert "nothing is up; `make up` starts it" in done.output


def test_a_name_of_a_part_of_the_stack_is_refused(trial: Trial) -> None:
    trial.up()
    environ = {"DASHCAM_STATE_DIR": str(trial.state_dir)}
    done = CliRunner().invoke(main, ["run", "--name", "car", "--", "true"], env=environ)
    assert done.exit_code == 1
    assert "'car' is a part of the stack: give another name with --name" in done.output
