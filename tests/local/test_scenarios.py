"""A share of the scenarios, live: the diagnosis names the cause of each from telemetry alone.

All of them run by `make scenarios`. Here are one that is slow, in two places at once, and one that fails for
some inputs only; and the time before each, when nothing is wrong. While the second lasts, a trace, an
alert and a service are asked for by the command line, as one would who was paged.

Each has a stack of its own, side by side: for most of their time they wait.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from exampleservices import LAST
from local.conftest import running
from mcp import Client, StdioServerParameters
from polling import until

from dashcam.lab import assistant
from dashcam.lab.command import bench_of
from dashcam.lab.injection import Bench
from dashcam.lab.scenario import load
from dashcam.lab.verify import BASELINE, Result, verify
from dashcam.sources import TraceQuery

pytestmark = pytest.mark.takes(100)

SLOW, FAILING = "two-at-once", "minus-failing-for-some"
DASHCAM = Path(sys.executable).with_name("dashcam")

Answers = dict[str, Any]
"""What `dashcam diagnose` answered, by the option it was asked with."""


@pytest.fixture(scope="module")
def answers() -> Answers:
    return {}


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, answers: Answers
) -> Iterator[Mapping[str, Future[Result]]]:
    folders = {name: tmp_path_factory.mktemp(name) for name in (SLOW, FAILING)}

    def run(name: str) -> Result:
        with running(folders[name], TRAFFIC="on", TRAFFIC_RATE="15") as stack:
            bench = bench_of(stack.settings)

            def during() -> None:
                if name == FAILING:
                    answers.update(_paged(bench))

            return verify(bench, load()[name], BASELINE, during=during)

    with ThreadPoolExecutor(len(folders)) as side_by_side:
        yield {name: side_by_side.submit(run, name) for name in folders}


def _paged(bench: Bench) -> Answers:
    """What one asks who is paged for the failure: about a trace of it, the alert, the service."""
    since = int((time.time() - 30) * 1e6)
    query = TraceQuery(LAST.name, since, int(time.time() * 1e6), tags={"error": "true"}, limit=1)
    (failed,) = until(lambda: bench.sources.traces.search(query), "a trace that fails in the last service")
    (alert, *_) = until(
        lambda: [a.name for a in bench.sources.metrics.alerts() if "Burn" in a.name], "an alert", within=30
    )
    return {
        "--trace": _asked(bench, 0, "--trace", failed.trace_id),
        "--alert": _asked(bench, 1, "--alert", alert),
        "--service": _asked(bench, 1, "--service", "car", "--since", "2m"),
        "mcp": asyncio.run(_through_the_tools(bench)),
    }


async def _through_the_tools(bench: Bench) -> assistant.Walk:
    """The fixed script of an assistant, over the protocol, about the stack that is broken."""
    environ = {**os.environ, **{name: str(value) for name, value in bench.settings.as_environ().items()}}
    server = StdioServerParameters(command=str(DASHCAM), args=["mcp"], env=environ)
    async with Client(server) as client:

        async def call(tool: str, arguments: dict[str, Any]) -> Mapping[str, Any]:
            answer = await client.call_tool(tool, arguments)
            assert not answer.is_error, answer.content
            found: Mapping[str, Any] = answer.structured_content or {}
            return found

        return await assistant.walk(call, "2m")


def _asked(bench: Bench, status: int, *options: str) -> Any:
    """The JSON that `dashcam diagnose` answers about the bench's stack."""
    command = [DASHCAM, "diagnose", *options, "--json"]
    environ = {**os.environ, **bench.settings.as_environ()}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)  # type: ignore[arg-type]
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", [SLOW, FAILING])
def test_the_cause_is_named_first_within_a_minute(runs: Mapping[str, Future[Result]], name: str) -> None:
    result = runs[name].result()
    assert result.passed, f"expected {result.expected}, named {result.named}"
    assert result.took is not None
    assert result.took < 60


@pytest.mark.parametrize("name", [SLOW, FAILING])
def test_nothing_is_named_before_there_is_a_fault(runs: Mapping[str, Future[Result]], name: str) -> None:
    assert runs[name].result().alarms == ()


@pytest.mark.parametrize("name", [SLOW, FAILING])
def test_the_recovery_is_seen(runs: Mapping[str, Future[Result]], name: str) -> None:
    assert runs[name].result().recovered is not None


@pytest.mark.parametrize("option", ["--alert", "--service"])
def test_asked_by_the_alert_or_the_service_it_names_the_same_cause(
    runs: Mapping[str, Future[Result]], answers: Answers, option: str
) -> None:
    runs[FAILING].result()
    (cause, *_) = answers[option]["causes"]
    assert (cause["kind"], cause["service"]) == ("failing", LAST.name)
    assert cause["evidence"]


def test_asked_for_one_trace_it_names_where_its_failure_began(
    runs: Mapping[str, Future[Result]], answers: Answers
) -> None:
    runs[FAILING].result()
    (first, *_) = answers["--trace"]["failures"]
    assert (first["service"], first["error"]) == (LAST.name, "RuntimeError")


def test_asked_through_the_tools_of_an_assistant_it_names_the_same_cause(
    runs: Mapping[str, Future[Result]], answers: Answers
) -> None:
    runs[FAILING].result()
    walk = answers["mcp"]
    assert walk.answers(load()[FAILING]), walk.diagnosis["causes"]
    assert walk.steps == ["alerts", "diagnose", "trace", "logs", "runbook"]
    assert walk.size < 24_000
