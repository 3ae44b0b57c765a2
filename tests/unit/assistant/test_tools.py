"""The tools of `dashcam mcp`, asked through the SDK's own client: over standard streams, HTTP, in process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import recorded
from mcp import Client, StdioServerParameters
from polling import until
from recorded import OTHER, TRACE

from benchmarks.rca.case import Case
from benchmarks.rca.memory import sources as remembered
from dashcam.console.settings import ConsoleSettings
from dashcam.diagnose import recording
from dashcam.lab import assistant
from dashcam.lab.scenario import load
from dashcam.mcp.server import NAMES, create
from dashcam.mcp.tools import Tools
from dashcam.sources import LogLine
from dashcam.stack.ports import free_port

DASHCAM = Path(sys.executable).with_name("dashcam")
RECORDINGS = Path(__file__).parents[1] / "diagnose" / "recorded"
EVERYTHING = {
    **recorded.jaeger_answers(),
    **recorded.log_answers(),
    **recorded.prometheus_answers(),
    "/api/v1/query": lambda params, json: recorded.vector(car=1, web=0),
    "/api/v1/alerts": recorded.alerts(recorded.alert("ServiceDown", service="car")),
}
SECONDS = 60.0
"""Within which a server has started, and every tool has answered."""
ASKED: dict[str, dict[str, Any]] = {
    "services": {},
    "traces": {"service": "car"},
    "trace": {"trace_id": TRACE},
    "logs": {"trace_id": TRACE},
    "metrics": {"promql": "up"},
    "alerts": {},
    "runbook": {"name": "ServiceDown"},
    "diagnose": {"since": "5m"},
    "compare": {"first": TRACE, "second": OTHER},
}


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a server whose sources play recorded answers."""
    with recorded.serve(EVERYTHING) as address:
        names = ("JAEGER_QUERY_URL", "PROMETHEUS_URL", "LOGS_URL")
        yield {
            **{name: text for name, text in os.environ.items() if name not in ("LOGS_KIND", "CONSOLE_PORT")},
            **dict.fromkeys(names, address),
            "DASHCAM_STATE_DIR": str(tmp_path),
        }


def within(client: Any, script: Callable[[Client], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with Client(client) as connected:
            return await script(connected)

    return asyncio.run(asyncio.wait_for(run(), SECONDS))


async def structured(client: Client, name: str, arguments: dict[str, Any]) -> Mapping[str, Any]:
    answer = await client.call_tool(name, arguments)
    assert not answer.is_error, answer.content
    assert answer.structured_content is not None
    found: Mapping[str, Any] = answer.structured_content
    return found


async def everything(client: Client) -> dict[str, Mapping[str, Any]]:
    return {name: await structured(client, name, arguments) for name, arguments in ASKED.items()}


def checked(answers: Mapping[str, Mapping[str, Any]]) -> None:
    assert [one["name"] for one in answers["services"]["services"]]
    assert answers["traces"]["traces"][0]["link"].endswith(f"/trace/{TRACE}")
    assert answers["trace"]["failed_first"] == ["price: GET /price ended in ZeroDivisionError"]
    assert answers["logs"]["lines"][-1]["message"] == "GET /price 500"
    assert answers["alerts"]["alerts"][0]["name"] == "ServiceDown"
    assert answers["runbook"]["text"].startswith("# ServiceDown")
    assert answers["diagnose"]["healthy"] is False
    assert answers["compare"]["spans"]
    for name, answer in answers.items():
        assert name == "services" or answer["link"].startswith("http://localhost:")


def test_every_tool_answers_over_standard_input_and_output(environ: dict[str, str]) -> None:
    server = StdioServerParameters(command=str(DASHCAM), args=["mcp"], env=environ)
    checked(within(server, everything))


@pytest.fixture
def address(environ: dict[str, str]) -> Iterator[str]:
    port = free_port()
    with subprocess.Popen(
        [DASHCAM, "mcp", "--port", str(port)], env=environ, stderr=subprocess.PIPE
    ) as server:
        try:
            whole = f"http://127.0.0.1:{port}/mcp"
            until(lambda: _answers(whole), "the server", within=SECONDS)
            yield whole
        finally:
            server.terminate()


def _answers(whole: str) -> bool:
    try:
        return httpx.get(whole).status_code < 500
    except httpx.TransportError:
        return False


def test_every_tool_answers_over_http_on_this_machine_and_to_no_other_name_or_page(address: str) -> None:
    checked(within(address, everything))
    hello = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    head = {"accept": "application/json, text/event-stream"}
    for odd in (
        {"host": "rebound.example"},
        {"origin": "http://rebound.example"},
        {"origin": "http://localhost:1"},
    ):
        answer = httpx.post(address, json=hello, headers={**head, **odd})
        assert answer.status_code in (403, 421), odd


def test_the_tools_are_said_to_read_only_and_what_they_answer_has_a_type() -> None:
    async def listed(client: Client) -> list[Any]:
        return list((await client.list_tools()).tools)

    tools = within(create(Tools(recorded.sources(), ConsoleSettings())), listed)
    assert {one.name for one in tools} == set(NAMES) == set(ASKED)
    for one in tools:
        assert one.annotations.read_only_hint
        assert not one.annotations.destructive_hint
        assert one.output_schema["properties"]
        assert one.description


def test_no_tool_asks_a_source_for_anything_but_an_answer() -> None:
    plays: dict[str, Any] = {
        "jaeger": recorded.Recorded(recorded.jaeger_answers()),
        "prometheus": recorded.Recorded(EVERYTHING),
        "logs": recorded.Recorded(recorded.log_answers()),
    }
    within(create(Tools(recorded.sources(**plays), ConsoleSettings())), everything)
    asked = {
        path.split("/")[2] + "/" + path.split("/")[3]
        for one in plays.values()
        for path, _ in one.asked
        if path.count("/") > 2
    }
    assert not {one for one in asked if "admin" in one or "reload" in one or "delete" in one}
    assert {path for path, _ in plays["prometheus"].asked} <= {
        "/api/v1/query",
        "/api/v1/query_range",
        "/api/v1/alerts",
    }


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("trace", {"trace_id": "xyz"}, "hexadecimal"),
        ("trace", {"trace_id": "1" * 32}, "not in the store"),
        ("logs", {"level": "LOUD"}, "give one of DEBUG"),
        ("runbook", {"name": "../../README"}, "there is no runbook"),
        ("metrics", {"promql": "up", "since": "soon"}, "give a duration"),
    ],
)
def test_what_cannot_be_answered_is_told_to_the_assistant(
    tool: str, arguments: dict[str, Any], said: str
) -> None:
    async def ask(client: Client) -> Any:
        return await client.call_tool(tool, arguments)

    answer = within(create(Tools(recorded.sources(), ConsoleSettings())), ask)
    assert answer.is_error
    assert said in answer.content[0].text


def test_a_source_that_is_away_is_told_and_not_taken_for_an_empty_answer() -> None:
    async def ask(client: Client) -> Any:
        return await client.call_tool("traces", {})

    away = recorded.sources(jaeger=recorded.Away())
    answer = within(create(Tools(away, ConsoleSettings())), ask)
    assert answer.is_error
    assert "nothing answers there" in answer.content[0].text


# -- each scenario by a fixed script ---------------------------------------------------------------

STEPS, SIZE = 5, 34_000
"""Calls that an answer may take, and bytes of all their answers: the trace of an order has forty spans."""


@cache
def walked(name: str) -> assistant.Walk:
    """The script over what was recorded of a scenario."""
    seen = recording.read(RECORDINGS / f"{name}.json.gz")
    traces = [*seen.past, *seen.before, *seen.during]
    lines = [*seen.said] or [*seen.lines_before, *seen.lines_during]
    # A recording keeps some lines of all that were there, and when each service wrote its last one.
    lines += [
        LogLine(
            {"timestamp": datetime.fromtimestamp(at, UTC).isoformat(), "service": service, "severity": "INFO"}
        )
        for service, at in seen.heard.items()
    ]
    case = Case(name, "", "", seen.start, seen.end, 0.0, traces, lines, seen.series)
    server = create(Tools(remembered(case), ConsoleSettings()))
    start, end = (datetime.fromtimestamp(at, UTC).isoformat() for at in (seen.start, seen.end))

    async def script(client: Client) -> assistant.Walk:
        async def call(tool: str, arguments: dict[str, Any]) -> Mapping[str, Any]:
            return await structured(client, tool, arguments)

        return await assistant.walk(call, start, end)

    done = within(server, script)
    assert isinstance(done, assistant.Walk)
    return done


@pytest.mark.parametrize("name", sorted(path.name.split(".")[0] for path in RECORDINGS.glob("*.gz")))
def test_each_scenario_is_answered_through_the_tools_in_few_steps_and_bytes(name: str) -> None:
    done = walked(name)
    assert done.answers(load()[name]), done.diagnosis["causes"][:2]
    assert len(done.steps) <= STEPS, done.steps
    assert done.size <= SIZE


def test_the_script_reads_what_shows_it_and_what_to_do() -> None:
    done = walked("minus-failing-for-some")
    assert done.steps == ["alerts", "diagnose", "trace", "logs", "runbook"]
    assert any("RuntimeError" in one for one in done.trace["failed_first"])
    assert done.runbook["text"].startswith(f"# {done.runbook['name']}")


def test_a_wrong_answer_is_seen_as_one() -> None:
    assert not walked("minus-slow").answers(load()["car-log-storm"])
