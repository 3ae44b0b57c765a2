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
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exampleservices import LAST
from local.conftest import running
from mcp import Client, StdioServerParameters
from polling import until

from dashcam.archive.opening import opened
from dashcam.diagnose.verdict import diagnose
from dashcam.lab import assistant
from dashcam.lab.command import bench_of
from dashcam.lab.injection import Bench
from dashcam.lab.scenario import load
from dashcam.lab.verify import BASELINE, Result, verify
from dashcam.sources import LogQuery, Sources, TraceQuery

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

            first = verify(bench, load()[name], BASELINE, during=during)
            if first.passed:
                return first
            # As `make scenarios --again`: what chance of the traffic hid once, is asked once more, and said.
            second = verify(bench, load()[name], BASELINE, first.clean, during=during)
            return replace(second, alarms=(*first.alarms, *second.alarms), tries=2)

    with ThreadPoolExecutor(len(folders)) as side_by_side:
        yield {name: side_by_side.submit(run, name) for name in folders}


def _paged(bench: Bench) -> Answers:
    """What one asks who is paged for the failure: about a trace of it, the alert, the service."""
    since = int((time.time() - 30) * 1e6)
    query = TraceQuery(LAST.name, since, int(time.time() * 1e6), tags={"error": "true"}, limit=1)
    (failed,) = until(lambda: bench.sources.traces.search(query), "a trace that fails in the last service")
    (alert, *_) = until(
        lambda: [a.name for a in bench.sources.metrics.alerts() if "Burn" in a.name], "an alert"
    )
    return {
        "--trace": _asked(bench, 0, "--trace", failed.trace_id),
        "--alert": _asked(bench, 1, "--alert", alert),
        "--service": _asked(bench, 1, "--service", "car", "--since", "2m"),
        "mcp": asyncio.run(_through_the_tools(bench)),
        "file": _from_a_file(bench),
    }


def _from_a_file(bench: Bench) -> Mapping[str, Any]:
    """What an exported file of the stack tells, beside what the stack itself tells of the same time."""
    path = bench.settings.state_dir / "incident.zip"
    environ = {**os.environ, **{name: str(value) for name, value in bench.settings.as_environ().items()}}
    command = [str(DASHCAM), "export", str(path), "--since", "2m", "--json", "--force"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    with opened(path) as file:
        # What came last may have come later to the one than to the other, and a search has a limit in bytes.
        start, end = file.contents.end - 65, file.contents.end - 20
        return {
            "contents": json.loads(done.stdout),
            "first": diagnose(file.sources, file.contents.start, file.contents.end).causes[0],
            "told": [_told(one, start, end) for one in (bench.sources, file.sources)],
        }


def _told(sources: Sources, start: float, end: float) -> Mapping[str, Any]:
    """Spans, lines and figures of a time."""
    times = int(start * 1e6), int(end * 1e6)
    # By few seconds each: a search that takes long gives what it has found until then.
    few = 3_000_000
    spans = {
        (one.trace_id, span.span_id): (span.service, span.operation, span.start, span.duration)
        for service in ("web", "car", "minus")
        for at in range(times[0], times[1], few)
        for one in sources.traces.search(TraceQuery(service, at, at + few - 1, limit=1500))
        for span in one.spans
    }
    lines = sources.logs.search(LogQuery(start=times[0], end=times[1], limit=5000)).lines
    rate = "sum by (job) (rate(http_server_request_duration_seconds_count[15s]))"
    return {
        "spans": spans,
        "lines": sorted(line.identity for line in lines),
        "metrics": {
            one.labels["job"]: [(round(at), round(value, 3)) for at, value in one.points]
            for one in sources.metrics.range(rate, start, end, 5.0)
        },
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
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300)  # type: ignore[arg-type]
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


def test_a_file_of_a_running_stack_tells_what_the_stack_tells(
    runs: Mapping[str, Future[Result]], answers: Answers
) -> None:
    runs[FAILING].result()
    live, recorded = answers["file"]["told"]
    assert len(live["spans"]) > 100
    assert recorded["spans"] == live["spans"]
    assert len(live["lines"]) > 100
    assert recorded["lines"] == live["lines"]
    assert set(live["metrics"]) >= {"web", "car", "minus"}
    assert recorded["metrics"] == live["metrics"]
    assert answers["file"]["contents"]["cut"] == []


def test_the_diagnosis_of_a_file_names_the_same_cause(
    runs: Mapping[str, Future[Result]], answers: Answers
) -> None:
    runs[FAILING].result()
    (expected,) = load()[FAILING].expect
    assert expected.met_by(answers["file"]["first"]), answers["file"]["first"].summary
