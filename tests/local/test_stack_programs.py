"""The real programs under the real supervisor: what `make up` promises beside the signals themselves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from exampleservices import LAST, SERVICES
from polling import until

from dashcam.stack import lifecycle, ownership
from dashcam.stack.settings import ROOT


def make(target: str, environ: dict[str, str], timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", target],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def pids(stack: Any) -> dict[str, int]:
    return {part.name: part.pid for part in stack.status().parts}


def ask_prometheus(stack: Any, path: str) -> Any:
    return httpx.get(f"{stack.prometheus}/api/v1/{path}", timeout=30).raise_for_status().json()["data"]


def requests_by_status(admin: str) -> dict[str, float]:
    """The counts of requests by status code that a service shows on its admin port."""
    counts: dict[str, float] = {}
    line = re.compile(
        r'http_server_request_duration_seconds_count\{.*http_response_status_code="(\d+)".*\} (\S+)'
    )
    for status, count in line.findall(httpx.get(f"{admin}/metrics", timeout=30).text):
        counts[status] = counts.get(status, 0) + float(count)
    return counts


def test_every_part_is_ready(stack: Any) -> None:
    parts = stack.status().parts

    assert [part.name for part in parts if part.ready] == [
        *SERVICES,
        *("receiver", "console", "prometheus", "alertmanager", "nats"),
    ]
    assert {part.restarts for part in parts} == {0}


def test_everything_listens_on_loopback_only(stack: Any) -> None:
    listening = {
        connection.laddr.ip
        for process in ownership.marked(stack.state_dir)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert "127.0.0.1" in listening


def test_prometheus_scrapes_every_target(stack: Any) -> None:
    def health() -> dict[str, str]:
        targets = ask_prometheus(stack, "targets?state=active")["activeTargets"]
        return {target["labels"]["job"]: target["health"] + target["lastError"] for target in targets}

    expected = dict.fromkeys((*SERVICES, "receiver", "otlp", "console", "prometheus", "alertmanager"), "up")
    until(lambda: health() == expected, lambda: f"every target to be up: {health()}")


def test_prometheus_knows_its_alertmanager_and_the_generated_rules(stack: Any) -> None:
    def alertmanagers() -> list[dict[str, str]]:
        known: list[dict[str, str]] = ask_prometheus(stack, "alertmanagers")["activeAlertmanagers"]
        return known

    until(alertmanagers, "Prometheus to find Alertmanager")
    loaded = {group["file"] for group in ask_prometheus(stack, "rules")["groups"]}
    assert loaded == {str(path) for path in (ROOT / "dashboards" / "generated" / "rules").glob("*.yml")}


def test_a_second_make_up_changes_nothing_and_says_so(stack: Any) -> None:
    before = pids(stack)

    again = make("up", stack.environ)

    assert again.returncode == 0, again.stdout + again.stderr
    assert "already up; nothing was changed" in again.stdout
    assert pids(stack) == before


def test_make_status_shows_every_address(stack: Any) -> None:
    shown = make("status", {"DASHCAM_STATE_DIR": str(stack.state_dir)})

    assert shown.returncode == 0, shown.stdout + shown.stderr
    for address in (*map(stack.service, SERVICES), stack.console, stack.prometheus, stack.alertmanager):
        assert address in shown.stdout


def test_make_up_names_the_owner_of_a_taken_port(stack: Any, tmp_path: Path) -> None:
    environ = {**stack.environ, "DASHCAM_STATE_DIR": str(tmp_path / "other")}

    refused = make("up", environ)

    assert refused.returncode != 0
    for variable, port in stack.settings.ports().items():
        assert re.search(
            rf"port {port} is taken by pid \d+ \(.+\): set {variable} to another port", refused.stderr
        ), refused.stderr
    assert "services.web" in refused.stderr
    assert stack.status().ready


def test_a_service_that_is_killed_is_back_by_itself(stack: Any) -> None:
    before = pids(stack)[LAST.name]

    os.kill(before, signal.SIGKILL)

    until(lambda: pids(stack)[LAST.name] not in (0, before), "it to be started again")
    until(lambda: stack.status().ready, "the stack to be ready again")
    # Not asked once: the worker of the one that was killed answers for it until it notices, and then ends.
    until(
        lambda: httpx.get(stack.service(LAST.name) + LAST.example, timeout=30).json(),
        "it to answer again",
    )


def test_services_write_nothing_but_json_lines(stack: Any) -> None:
    for service in SERVICES:
        for line in (stack.state_dir / "logs" / f"{service}.log").read_text().splitlines():
            assert json.loads(line)["service"] == service


def test_two_stacks_run_side_by_side_and_down_ends_only_its_own(
    stack: Any, start_stack: Callable[..., Any]
) -> None:
    other = start_stack(TRAFFIC="on", TRAFFIC_RATE="40")
    before = pids(stack)
    cars = httpx.get(f"{stack.car}/cars", timeout=30).json()["total"]

    def kinds() -> dict[str, float]:
        return {**requests_by_status(other.admin("web")), **requests_by_status(other.admin("car"))}

    # Reads, writes, and what is wrong on purpose; the catalogue does not grow.
    wanted = {"200", "201", "204", "303", "304", "404", "422"}
    until(lambda: wanted <= kinds().keys(), lambda: f"all kinds of traffic, so far {kinds()}")
    until(
        lambda: httpx.get(f"{other.car}/cars", timeout=30).json()["total"] == cars,
        "the traffic to have deleted its cars",
    )
    assert not any(status.startswith("5") for status in kinds())

    assert lifecycle.down(other.settings)
    assert ownership.marked(other.state_dir) == []
    assert stack.status().ready
    assert pids(stack) == before


def test_an_interrupted_up_leaves_nothing(tmp_path: Path, stack: Any) -> None:
    ports = {variable: "0" for variable in stack.environ if variable.endswith("_PORT")}
    environ = {**os.environ, **ports, "DASHCAM_STATE_DIR": str(tmp_path / "state")}
    command = [Path(sys.executable).with_name("dashcam"), "up"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as starting:  # type: ignore[arg-type]
        assert starting.stdout is not None
        assert "ready after" in starting.stdout.readline()

        starting.terminate()
        said = starting.stdout.read()

    assert starting.returncode == 128 + signal.SIGTERM
    assert "ending what was started" in said
    assert ownership.marked(tmp_path / "state") == []


def test_one_part_can_be_ended_and_started_again_while_the_others_stay(
    start_stack: Callable[..., Any],
) -> None:
    stack = start_stack()
    before = pids(stack)

    assert lifecycle.stop_part(stack.settings, LAST.name)
    assert not lifecycle.stop_part(stack.settings, LAST.name)
    assert {part.name: part.state for part in stack.status().parts if not part.ready} == {
        LAST.name: "stopped"
    }
    page = httpx.get(f"{stack.web}/cars/bentz/e-class", params={"discount": "500"}, timeout=30)
    assert page.status_code == 200
    assert "61,500" not in page.text

    assert lifecycle.start_part(stack.settings, LAST.name)
    assert not lifecycle.start_part(stack.settings, LAST.name)
    after = pids(stack)
    assert [name for name in before if after[name] != before[name]] == [LAST.name]


def test_a_part_that_does_not_exist_is_named_with_those_that_do(stack: Any) -> None:
    with pytest.raises(lifecycle.StackError, match=f"'plus'.*{LAST.name}"):
        lifecycle.stop_part(stack.settings, "plus")
