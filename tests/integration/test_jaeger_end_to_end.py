"""The stack's end-to-end test once more, on `make up BACKEND=jaeger`: services, Collector, Jaeger, all real.

The assertions are those of tests/local/test_end_to_end.py, run under this folder's `stack`; traces are
asked of Jaeger's own query API. Below them is what only this stack has.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from exampleservices import QUOTE, SERVICES
from local.conftest import RunningStack
from local.test_end_to_end import *  # noqa: F403 - the tests themselves
from local.test_end_to_end import Sent, complete_trace
from polling import until

pytestmark = [
    pytest.mark.takes(55),
    pytest.mark.verifies(
        component="Jaeger",
        claim="holds one request through all services of a quote, joined with its log lines and exemplars: "
        "all assertions of the local end-to-end test, through Jaeger's own API",
    ),
]


def test_the_console_answers_the_query_api_as_jaeger_itself_does(stack: RunningStack, quote: Sent) -> None:
    until(lambda: complete_trace(stack, quote.trace_id), "the trace of the quote in Jaeger")
    agree(stack, "/api/services/car/operations")
    agree(stack, "/api/operations?service=car&spanKind=client")
    agree(stack, "/api/traces?service=car&limit=x")
    agree(stack, "/api/traces/0")
    assert agree(stack, f"/api/v3/traces/{quote.trace_id}", span_ids)


def agree(stack: RunningStack, path: str, view: Callable[[httpx.Response], Any] | None = None) -> Any:
    """What `view` sees in the answer of both, once that is the same: a span that comes in between differs."""

    def ask() -> tuple[Any, Any]:
        own, passed_on = (httpx.get(f"{base}{path}", timeout=10) for base in (stack.jaeger, stack.console))
        says, should = ((each.status_code, (view or in_order)(each)) for each in (passed_on, own))
        assert says == should
        return says

    return until(ask, f"one answer of both to {path}")[1]


def span_ids(answer: httpx.Response) -> list[str]:
    """The ids of the spans in an answer of `/api/v3`, sorted."""
    return sorted(re.findall(r'"spanId":"(\w+)"', answer.text))


def in_order(answer: httpx.Response) -> Any:
    """The answer with its lists in one order: Jaeger's own differs from one time to the next."""
    page = answer.json()
    if isinstance(page.get("data"), list):
        page["data"].sort(key=str)
    return page


def test_the_pages_show_what_jaeger_and_the_embedded_log_search_hold(
    stack: RunningStack, quote: Sent
) -> None:
    until(lambda: complete_trace(stack, quote.trace_id), "the trace of the quote in Jaeger")
    page = httpx.get(f"{stack.console}/trace/{quote.trace_id}", timeout=10)
    assert page.status_code == 200
    for service in QUOTE:
        assert service in page.text
    assert "/quote" in page.text
    asked = {"service": "web", "lookback": "1h", "limit": "200"}  # others ask the same stack for quotes
    found = httpx.get(f"{stack.console}/search", params=asked, timeout=10)
    assert quote.trace_id in found.text
    for path in ("/", "/monitor?service=car", "/alerts", "/diagnose", "/logs"):
        shown = httpx.get(f"{stack.console}{path}", timeout=20)
        assert (shown.status_code, "did not answer" in shown.text) == (200, False), path


@pytest.mark.verifies(
    component="OpenTelemetry Collector",
    claim="passes pushed metrics and log records on, which Prometheus and the log search then have",
)
def test_what_is_pushed_beside_spans_arrives_as_without_jaeger(stack: RunningStack) -> None:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "pusher"}}]}
    now = str(time.time_ns())
    gauge = {"name": "oven.temperature", "gauge": {"dataPoints": [{"timeUnixNano": now, "asDouble": 220.5}]}}
    record = {"timeUnixNano": now, "severityText": "WARN", "severityNumber": 13}
    record["body"] = {"stringValue": "the oven is hot"}
    for path, body in (
        ("metrics", {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [gauge]}]}]}),
        ("logs", {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}),
    ):
        httpx.post(f"{stack.receiver}/v1/{path}", json=body, timeout=5).raise_for_status()

    def found() -> bool:
        asked = {"query": 'oven_temperature{job="pusher"}'}
        answer = httpx.get(f"{stack.prometheus}/api/v1/query", params=asked, timeout=5).json()
        values = [each["value"][1] for each in answer["data"]["result"]]
        lines = httpx.get(f"{stack.console}/api/logs", params={"service": "pusher"}, timeout=5).json()["logs"]
        said = [(line["message"], line["severity"]) for line in lines]
        return values == ["220.5"] and said == [("the oven is hot", "WARN")]

    until(found, "the pushed metric in Prometheus and the line in the log search", within=30)


def test_the_receiver_tails_logs_and_takes_no_spans(stack: RunningStack) -> None:
    receiver = next(part for part in stack.status().parts if part.name == "receiver")
    base = receiver.address.removesuffix("/metrics")
    refused = httpx.post(f"{base}/v1/traces", json={}, timeout=5)
    assert (refused.status_code, "Collector" in refused.text) == (404, True)


def test_every_part_is_scraped_under_its_own_name(stack: RunningStack) -> None:
    def up() -> dict[str, str]:
        found = httpx.get(
            f"{stack.prometheus}/api/v1/query", params={"query": "sum by (job) (up)"}, timeout=5
        )
        return {each["metric"]["job"]: each["value"][1] for each in found.json()["data"]["result"]}

    wanted = dict.fromkeys(
        (*SERVICES, "receiver", "otlp", "console", "prometheus", "alertmanager", "jaeger"), "1"
    ) | {"collector": "2"}
    until(lambda: up() == wanted, lambda: f"every part scraped once, the Collector twice: {up()}", within=30)


@pytest.mark.verifies(
    component="Jaeger",
    claim="its Monitor finds rates and latencies in Prometheus, as the Collector counted them of the spans",
)
def test_jaegers_monitor_finds_in_prometheus_what_the_collector_counted_of_the_spans(
    stack: RunningStack,
) -> None:
    """Names and units must agree between three configurations; where they do not, the tab is just empty."""

    def points(name: str, **parameters: str) -> list[float]:
        httpx.get(f"{stack.car}/cars/bentz/e-class", timeout=10)
        answer = httpx.get(
            f"{stack.jaeger}/api/metrics/{name}",
            params={"service": "car", "spanKind": "server", "lookback": "600000", "step": "5000"}
            | {"ratePer": "60000", **parameters},
            timeout=10,
        )
        series = answer.raise_for_status().json()["metrics"]
        values = [point["gaugeValue"]["doubleValue"] for each in series for point in each["metricPoints"]]
        return [float(value) for value in values if float(value) > 0]

    until(lambda: points("calls"), "calls of car in Jaeger's monitor", within=60, every=1)
    until(lambda: points("latencies", quantile="0.95"), "latencies of car", within=60, every=1)
