"""The query commands against servers that play recorded answers: output, JSON and exit statuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import recorded
from click.testing import CliRunner, Result
from polling import until
from recorded import OTHER, TRACE

from dashcam.cli.main import COMMANDS, main
from dashcam.cli.metrics import sparkline
from dashcam.cli.session import one_line
from dashcam.model.text import listed, plain
from dashcam.stack.ports import free_port

Run = Callable[..., Result]
QUERIES = ("alerts", "logs", "metrics", "services", "trace", "traces")
EVERYTHING = {
    **recorded.jaeger_answers(),
    **recorded.log_answers(),
    **recorded.prometheus_answers(),
    "/api/v1/query": lambda params, json: recorded.vector(car=1, web=0),
    "/api/v1/alerts": recorded.alerts(recorded.alert("Watchdog", severity="none")),
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs `dashcam` against one server that plays every source."""
    monkeypatch.setenv("DASHCAM_STATE_DIR", str(tmp_path))
    for name in ("JAEGER_QUERY_URL", "PROMETHEUS_URL", "LOGS_URL", "LOGS_KIND", "CONSOLE_PORT"):
        monkeypatch.delenv(name, raising=False)
    answers: dict[str, Any] = dict(EVERYTHING)
    with recorded.serve(answers) as address:
        monkeypatch.setenv("JAEGER_QUERY_URL", address)
        monkeypatch.setenv("PROMETHEUS_URL", address)

        def call(*arguments: str, **changed: Any) -> Result:
            answers.update(changed.pop("answers", {}))
            return CliRunner().invoke(main, arguments, catch_exceptions=False)

        yield call


def test_every_command_says_how_it_is_used_with_examples() -> None:
    for name in (*QUERIES, "open", "completion", "console"):
        answer = CliRunner().invoke(main, [name, "--help"])
        assert answer.exit_code == 0, answer.output
        assert "Examples:" in answer.output
        assert f"dashcam {name}" in answer.output or name == "console"
    assert set(QUERIES) <= set(COMMANDS)


@pytest.mark.parametrize(
    "arguments",
    [("traces",), ("trace", TRACE), ("logs",), ("metrics", "up"), ("services",), ("alerts",)],
)
def test_every_query_answers_json(run: Run, arguments: tuple[str, ...]) -> None:
    answer = run(*arguments, "--json")
    assert isinstance(json.loads(answer.stdout), dict)


def test_traces_are_listed_with_their_root_and_errors(run: Run) -> None:
    answer = run("traces", "--service", "car", "--since", "10m")
    assert answer.exit_code == 0
    assert TRACE in answer.output
    assert "web: GET /cars/{maker}/{model}" in answer.output
    found = json.loads(run("traces", "--json").stdout)["traces"][0]
    assert (found["errors"], found["duration_us"], found["start"]) == (2, 50_000, "2026-09-21T14:13:20Z")


def test_a_trace_is_a_waterfall_with_its_log_lines_under_their_spans(run: Run) -> None:
    answer = run("trace", TRACE)
    lines = answer.output.splitlines()
    place = next(number for number, line in enumerate(lines) if "price GET /price" in line)
    assert "ZeroDivisionError: division by zero" in lines[place + 1]
    assert "ERROR price GET /price 500" in lines[place + 2]
    assert "=" in lines[place]


def test_nothing_found_is_status_1_and_still_json(run: Run) -> None:
    empty = {"/api/traces": {"data": []}, "/api/logs": {"logs": [], "total": 0, "latest": 0}}
    empty["/api/v1/query"] = recorded.vector()
    assert run("traces", answers=empty).exit_code == 1
    answer = run("traces", "--json")
    assert (answer.exit_code, json.loads(answer.stdout)) == (1, {"traces": []})
    assert run("logs").exit_code == 1
    assert run("metrics", "up").exit_code == 1
    assert run("trace", "0" * 32).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("trace", "xyz"), "'xyz'"),
        (("traces", "--tags", "x"), "'x'"),
        (("traces", "--min-duration", "fast"), "'fast'"),
        (("traces", "--since", "5x"), "--since='5x'"),
        (("logs", "--level", "LOUD"), "'LOUD'"),
        (("traces", "--limit", "0"), "0"),
        (("completion", "csh"), "'csh'"),
    ],
)
def test_wrong_use_is_status_2_and_names_the_value(run: Run, arguments: tuple[str, ...], said: str) -> None:
    answer = run(*arguments)
    assert answer.exit_code == 2
    assert said in answer.output


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("traces",), "--jaeger-url"),
        (("trace", TRACE), "--jaeger-url"),
        (("logs",), "--logs-url"),
        (("metrics", "up"), "--prometheus-url"),
        (("services",), "--prometheus-url"),
        (("alerts",), "--prometheus-url"),
    ],
)
def test_a_source_that_is_away_is_status_3(run: Run, arguments: tuple[str, ...], option: str) -> None:
    answer = run(*arguments, option, "http://127.0.0.1:1")
    assert answer.exit_code == 3
    assert "http://127.0.0.1:1: nothing answers there" in answer.stderr


def test_a_bad_expression_is_told_in_prometheus_words(run: Run) -> None:
    answer = run("metrics", "up{", answers={"/api/v1/query": 400})
    assert answer.exit_code == 3
    assert "it answered 400" in answer.stderr


def test_logs_come_oldest_first(run: Run) -> None:
    output = run("logs").output
    assert output.index("quote 503") < output.index("/price 500")


def test_a_firing_alert_is_status_1_and_the_one_that_always_fires_is_not(run: Run) -> None:
    assert run("alerts").exit_code == 0
    answer = run("alerts", answers={"/api/v1/alerts": recorded.alerts(recorded.alert("Down"))})
    assert answer.exit_code == 1
    assert "runbook: http://x/runbooks/Down" in answer.output


def test_a_service_that_is_down_is_status_1(run: Run) -> None:
    answer = run("services")
    assert answer.exit_code == 1
    assert "down" in answer.output


def test_colour_only_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in run("trace", TRACE).output
    coloured = CliRunner().invoke(main, ["trace", TRACE], color=True)
    assert "\x1b[" in coloured.output
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in CliRunner().invoke(main, ["trace", TRACE], color=True).output


def test_telemetry_cannot_command_the_terminal(run: Run) -> None:
    assert plain("a\x1b]0;owned\x07b\nc") == "a\\x1b]0;owned\\x07b\nc"
    assert one_line("a\nb" + "x" * 300, 10) == "a bxxxxxx…"
    trace = recorded.quote_trace()
    trace["spans"][0]["operationName"] = "GET \x1b[2J"
    answer = run("trace", TRACE, answers={f"/api/traces/{TRACE}": {"data": [trace]}})
    assert "\x1b" not in answer.output
    assert "\\x1b[2J" in answer.output
    assert run("trace", OTHER).exit_code == 0


def test_open_prints_addresses_that_the_console_has(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSOLE_PORT", "1234")
    assert run("open", "trace", TRACE).output.strip() == f"http://localhost:1234/trace/{TRACE}"
    assert run("open", "service", "a b").output.strip() == "http://localhost:1234/monitor?service=a%20b"


def test_addresses_come_from_the_option_then_the_environment_then_the_running_stack(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "supervisor").mkdir()
    recording = {"CONSOLE_PORT": "7", "DASHCAM_STATE_DIR": str(tmp_path)}
    (tmp_path / "supervisor" / "settings.json").write_text(json.dumps(recording))
    assert run("open", "trace", TRACE).output.startswith("http://localhost:7/")
    monkeypatch.setenv("CONSOLE_PORT", "8")
    assert run("open", "trace", TRACE).output.startswith("http://localhost:8/")
    assert run("traces", "--jaeger-url", "http://127.0.0.1:1").exit_code == 3


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(run: Run, shell: str) -> None:
    assert "_DASHCAM_COMPLETE" in run("completion", shell).output


def test_the_console_refuses_to_ask_itself(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAEGER_QUERY_URL")
    answer = run("console")
    assert answer.exit_code == 2
    assert "would ask itself" in answer.output


def test_a_range_is_a_sparkline(run: Run) -> None:
    series = {"metric": {"job": "car"}, "values": [[1, "0"], [2, "5"], [3, "10"]]}
    answers = {
        "/api/v1/query_range": {"status": "success", "data": {"resultType": "matrix", "result": [series]}}
    }
    answer = run("metrics", "up", "--range", "1h", answers=answers)
    assert sparkline([0, 5, 10]) in answer.output
    assert (sparkline([0, 0]), sparkline([3, 3])) == ("▁▁", "██")


def test_following_goes_on_over_a_source_that_was_away_and_ends_with_ctrl_c(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pause of the command is a step of the story."""
    first, second = recorded.line("first"), recorded.line("second", 1)
    answers: dict[str, Any] = {"/api/logs": {"logs": [first], "total": 1, "latest": 1}}
    story = iter(
        [
            503,
            503,
            {"logs": [second], "total": 1, "latest": 2},
            {"logs": [], "total": 0, "latest": 2},
        ]
    )

    def pause(seconds: float) -> None:
        try:
            following = next(story)
        except StopIteration:
            raise KeyboardInterrupt from None
        run("--version", answers={"/api/logs": following})

    monkeypatch.setattr("dashcam.cli.logs.time.sleep", pause)
    answer = run("logs", "--follow", "--json", answers=answers)
    assert answer.exit_code == 0
    assert [json.loads(text)["message"] for text in answer.stdout.splitlines()] == ["first", "second"]
    assert answer.stderr.count("Waiting for it") == 1


def test_the_pages_are_served_alone_against_sources_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with recorded.serve(EVERYTHING) as address:
        port = free_port()
        environ = os.environ | {"JAEGER_QUERY_URL": address, "PROMETHEUS_URL": address}
        program = "from dashcam.cli.main import main; main()"
        command = [sys.executable, "-c", program, "console", "--port", str(port)]
        with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE) as process:
            try:
                page = until(
                    lambda: httpx.get(f"http://127.0.0.1:{port}/trace/{TRACE}").text, "the page", within=60
                )
                assert "GET /price" in page
            finally:
                process.terminate()


def test_a_trace_of_which_there_are_only_lines_shows_them(run: Run) -> None:
    gone: dict[str, Any] = {f"/api/traces/{TRACE}": {"data": []}}
    answer = run("trace", TRACE, answers=gone)
    assert answer.exit_code == 0
    assert "is not in the store" in answer.output
    lines = json.loads(run("trace", TRACE, "--json").output)["logs"]
    assert lines
    for line in lines:
        assert line["message"].split()[0] in answer.output
    assert run("trace", TRACE, "--no-logs").exit_code == 1


def test_a_line_of_telemetry_cannot_forge_a_line_of_the_output(run: Run) -> None:
    trace = recorded.quote_trace()
    for process in trace["processes"].values():
        process["serviceName"] += "\nFORGED by a service"
    trace["spans"][0]["operationName"] += "\nFORGED by a span"
    output = run("trace", TRACE, answers={f"/api/traces/{TRACE}": {"data": [trace]}}).output
    assert "FORGED" in output
    assert not [line for line in output.splitlines() if line.lstrip().startswith("FORGED")]
    assert listed(["one\nFORGED", "\ntwo"]) == "one\\nFORGED\n\ntwo"
