"""A foreign system with stock SDKs in two languages is seen like our own: examples/polyglot.

Needs Node and npm; pip and npm take the locked packages from their registries.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from local.conftest import RunningStack, running
from polling import until
from tracelinks import metrics_queries

from dashcam.stack.ports import free_ports
from dashcam.stack.settings import ROOT

EXAMPLE = ROOT / "examples" / "polyglot"
SEEN_SECONDS = 60.0


class Foreign:
    """The running system: a stack, the shop's address, and what one finds of it."""

    def __init__(self, stack: RunningStack, shop: str) -> None:
        self.stack = stack
        self.shop = shop

    def buy(self, thing: str) -> int:
        return httpx.get(f"{self.shop}/buy/{thing}", timeout=30).status_code

    def traces(self, **asked: Any) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.stack.jaeger}/api/traces", params={"service": "shop", **asked})
        return list(answer.json()["data"])

    def lines(self, **asked: Any) -> list[dict[str, Any]]:
        return list(httpx.get(f"{self.stack.console}/api/logs", params=asked).json()["logs"])

    def figure(self, promql: str) -> float:
        answer = httpx.get(f"{self.stack.prometheus}/api/v1/query", params={"query": promql}).json()
        return sum(float(row["value"][1]) for row in answer["data"]["result"])

    def services(self) -> dict[str, dict[str, Any]]:
        command = [str(ROOT / ".venv" / "bin" / "dashcam"), "services", "--json"]
        environ = {**self.stack.environ, "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60)
        return {one["name"]: one for one in json.loads(done.stdout)["services"]}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    folder = tmp_path_factory.mktemp("polyglot") / "polyglot"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", ".venv"))
    subprocess.run([folder / "setup.sh"], check=True, timeout=300)
    shop, stock = free_ports(2)
    file = folder / "dashcam.toml"
    file.write_text(file.read_text().replace("5055", str(shop)).replace("5056", str(stock)))
    with running(tmp_path_factory.mktemp("stack"), DASHCAM_FILE=str(file)) as stack:
        yield Foreign(stack, f"http://127.0.0.1:{shop}")


@pytest.fixture(scope="module")
def trace(foreign: Foreign) -> dict[str, Any]:
    """The trace of something that was sold."""
    assert foreign.buy("apple") == 200
    return until(
        lambda: next(
            (one for one in foreign.traces() if len(one["processes"]) == 2 and len(one["spans"]) >= 3), None
        ),
        "a trace through both",
        within=SEEN_SECONDS,
    )


def test_a_trace_crosses_the_languages(trace: dict[str, Any]) -> None:
    assert {process["serviceName"] for process in trace["processes"].values()} == {"shop", "stock"}
    kinds = [tag["value"] for span in trace["spans"] for tag in span["tags"] if tag["key"] == "span.kind"]
    assert sorted(kinds) == ["client", "server", "server"]


def test_lines_of_both_are_joined_to_the_trace(foreign: Foreign, trace: dict[str, Any]) -> None:
    def joined() -> dict[str, dict[str, Any]]:
        return {line["service"]: line for line in foreign.lines(trace_id=trace["traceID"])}

    found = until(
        lambda: (lines := joined()).keys() == {"shop", "stock"} and lines,
        "lines of both",
        within=SEEN_SECONDS,
    )
    assert found["stock"]["message"] == "one taken"
    assert found["stock"]["severity"] == "INFO"
    assert found["shop"]["severity"] == "WARNING"
    assert "somebody buys apple" in found["shop"]["message"]


def test_a_failure_is_an_error_in_all_signals_with_its_stack(foreign: Foreign) -> None:
    assert foreign.buy("unicorn") == 502
    (line,) = until(
        lambda: foreign.lines(service="stock", level="ERROR"), "the stock's error", within=SEEN_SECONDS
    )
    assert line["message"] == "no unicorn in stock"
    assert "server.js" in line["exception.stacktrace"]
    (whole,) = until(
        lambda: [
            one for one in foreign.lines(service="shop", level="ERROR") if "Traceback" in one["message"]
        ],
        "the shop's traceback",
        within=SEEN_SECONDS,
    )
    assert whole["message"].endswith("urllib.error.HTTPError: HTTP Error 500: Internal Server Error")
    assert whole["trace_id"] == line["trace_id"]
    errors = 'sum(http_server_request_duration_seconds_count{job="%s",http_response_status_code=~"5.."})'
    for service in ("shop", "stock"):
        until(
            lambda s=service: foreign.figure(errors % s) == 1, f"the error of {service}", within=SEEN_SECONDS
        )


def test_both_have_figures_like_our_own_services(foreign: Foreign) -> None:
    def measured() -> bool:
        foreign.buy("pear")
        found = foreign.services()
        return all((found.get(name) or {}).get("rate") and found[name]["p95"] for name in ("shop", "stock"))

    until(measured, "figures of both", within=SEEN_SECONDS, every=1.0)
    found = foreign.services()
    assert not found["shop"]["from_spans"]
    assert not found["stock"]["from_spans"]
    assert found["web"]["state"] == "ok"


def test_a_trace_leads_to_the_metrics_of_each_of_them(foreign: Foreign, trace: dict[str, Any]) -> None:
    for process in trace["processes"].values():
        name, found = process["serviceName"], metrics_queries(process)["Requests a second"]
        count = f"count({found.replace('by (http_route)', 'by (job)')})"
        until(lambda count=count: foreign.figure(count) == 1, f"the metrics of {name}", within=SEEN_SECONDS)


def test_the_parts_of_the_file_are_parts_of_the_stack(foreign: Foreign) -> None:
    parts = {part.name: part for part in foreign.stack.status().parts}
    assert parts["shop"].ready
    assert parts["stock"].ready
    assert parts["shop"].address == foreign.shop
