"""A foreign system with stock SDKs in four languages and a browser is seen like our own: examples/polyglot.

Needs Node and npm, Go, a JDK, Maven and Chromium; pip, npm, go and mvn take what is locked from registries.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from browser.conftest import browser, new_page  # noqa: F401 - fixtures
from integration import npm
from local.conftest import RunningStack, running
from playwright.sync_api import Page, expect
from polling import until
from verifying import Recorder

from dashcam.stack.ports import free_ports
from dashcam.stack.settings import ROOT
from dashcam.stack.tools import TELEMETRYGEN

EXAMPLE = ROOT / "examples" / "polyglot"
SEEN_SECONDS = 60.0

COMPONENTS = {
    "shop": "OpenTelemetry distro for Python, with Flask",
    "prices": "OpenTelemetry distro for Python, with FastAPI",
    "stock": "OpenTelemetry SDK for JavaScript, in Node",
    "billing": "OpenTelemetry SDK for Go",
    "parcels": "OpenTelemetry agent for Java",
}
PAGE = "OpenTelemetry SDK for JavaScript, in a browser"
WHOLE = "is seen in traces, metrics and lines like our own services, without a word of configuration"


# The test for each service of the example, as a claim of its SDK.
each_service = pytest.mark.parametrize(
    "service",
    [
        pytest.param("shop", marks=pytest.mark.verifies(component=COMPONENTS["shop"], claim=WHOLE)),
        pytest.param("prices", marks=pytest.mark.verifies(component=COMPONENTS["prices"], claim=WHOLE)),
        pytest.param("stock", marks=pytest.mark.verifies(component=COMPONENTS["stock"], claim=WHOLE)),
        pytest.param("billing", marks=pytest.mark.verifies(component=COMPONENTS["billing"], claim=WHOLE)),
        pytest.param("parcels", marks=pytest.mark.verifies(component=COMPONENTS["parcels"], claim=WHOLE)),
    ],
)


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


def record(ran: Recorder) -> None:
    """Say which SDKs the locks of the example name."""
    python = re.search(
        r"^opentelemetry-distro==(\S+)", (EXAMPLE / "requirements.txt").read_text(), re.MULTILINE
    )
    go = re.search(
        r"^\tgo\.opentelemetry\.io/otel v(\S+)", (EXAMPLE / "billing/go.mod").read_text(), re.MULTILINE
    )
    java = re.search(r"javaagent</artifactId>\s*<version>(.+?)<", (EXAMPLE / "parcels/pom.xml").read_text())
    assert python
    assert go
    assert java
    for name in ("shop", "prices"):
        ran(COMPONENTS[name], version=python[1], had="from the package index, locked")
    node = npm.locked(EXAMPLE / "stock", "@opentelemetry/sdk-node")
    ran(COMPONENTS["stock"], version=node, had="from npm, locked")
    ran(COMPONENTS["billing"], version=go[1], had="from the module proxy, with its sums")
    ran(COMPONENTS["parcels"], version=java[1], had="from Maven Central, by its version")
    ran(PAGE, version=npm.locked(EXAMPLE / "page", "@opentelemetry/sdk-trace-web"), had="from npm, locked")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory, ran: Recorder) -> Iterator[Foreign]:
    record(ran)
    folder = tmp_path_factory.mktemp("polyglot") / "polyglot"
    made = shutil.ignore_patterns("node_modules", ".venv", "lib", "static", "*.class")
    shutil.copytree(EXAMPLE, folder, ignore=made)
    subprocess.run([folder / "setup.sh"], check=True, timeout=600)
    file = folder / "dashcam.toml"
    written = sorted(set(re.findall(r"\b505[0-9]\b", file.read_text())))
    ports = dict(zip(written, map(str, free_ports(len(written))), strict=True))
    file.write_text(re.sub(r"\b505[0-9]\b", lambda port: ports[port[0]], file.read_text()))
    with running(tmp_path_factory.mktemp("stack"), DASHCAM_FILE=str(file)) as stack:
        yield Foreign(stack, f"http://127.0.0.1:{ports['5055']}")


@pytest.fixture(scope="module")
def trace(foreign: Foreign) -> dict[str, Any]:
    """The trace of something that was sold."""
    assert foreign.buy("apple") == 200
    return until(
        lambda: next((one for one in foreign.traces() if whole(one)), None),
        "a trace through all five",
        within=SEEN_SECONDS,
    )


def whole(trace: dict[str, Any]) -> bool:
    """Whether all five have said all: each sends its spans in its own time, a caller's often last."""
    parents = {reference["spanID"] for span in trace["spans"] for reference in span["references"]}
    return services(trace) == COMPONENTS.keys() and parents <= {span["spanID"] for span in trace["spans"]}


def services(trace: dict[str, Any]) -> set[str]:
    return {str(process["serviceName"]) for process in trace["processes"].values()}


def server_span(trace: dict[str, Any], service: str) -> dict[str, Any]:
    """The span with which `service` answered, its tags as a mapping."""
    of_service = [
        {**span, "tags": {tag["key"]: tag["value"] for tag in span["tags"]}}
        for span in trace["spans"]
        if trace["processes"][span["processID"]]["serviceName"] == service
    ]
    (found,) = (span for span in of_service if span["tags"].get("span.kind") == "server")
    return found


@each_service
def test_one_trace_crosses_all_languages(trace: dict[str, Any], service: str) -> None:
    span = server_span(trace, service)
    assert span["tags"]["http.response.status_code"] == 200
    known = {other["spanID"] for other in trace["spans"]}
    parents = [reference["spanID"] for reference in span["references"]]
    assert parents == [] if service == "shop" else set(parents) <= known


SAID = {
    "shop": ("WARNING", "somebody buys apple"),
    "prices": ("WARNING", "a price for apple"),
    "stock": ("INFO", "one taken"),
    "billing": ("INFO", "a bill is written"),
    "parcels": ("INFO", "a parcel is made"),
}


@each_service
def test_its_line_is_joined_to_the_trace(foreign: Foreign, trace: dict[str, Any], service: str) -> None:
    level, text = SAID[service]

    def joined() -> dict[str, Any] | None:
        lines = foreign.lines(trace_id=trace["traceID"], service=service)
        return next((line for line in lines if text in line["message"]), None)

    line = until(joined, f"the line of {service}", within=SEEN_SECONDS)
    assert line["severity"] == level
    assert line["span_id"] in {span["spanID"] for span in trace["spans"]}


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


@each_service
def test_it_has_figures_like_our_own_services(foreign: Foreign, service: str) -> None:
    def measured() -> dict[str, Any] | None:
        foreign.buy("pear")
        found = foreign.services().get(service) or {}
        return found if found.get("rate") and found["p95"] else None

    found = until(measured, f"figures of {service}", within=SEEN_SECONDS, every=1.0)
    assert not found["from_spans"]


def test_our_own_are_well_beside_them(foreign: Foreign) -> None:
    assert foreign.services()["web"]["state"] == "ok"


@pytest.mark.verifies(component=PAGE, claim="begins the trace of what a click does in five services")
def test_the_page_is_the_root_of_what_its_button_does(
    foreign: Foreign,
    new_page: Callable[..., Page],  # noqa: F811 - the fixture
) -> None:
    page = new_page()
    page.goto(foreign.shop)
    page.get_by_role("button", name="Buy an apple").click()
    expect(page.get_by_role("status")).to_contain_text("one apple for 5 euros, billed, sent")
    whole = until(
        lambda: next((one for one in foreign.traces() if services(one) == {*COMPONENTS, "page"}), None),
        "a trace that begins in the browser",
        within=SEEN_SECONDS,
    )
    (root,) = (span for span in whole["spans"] if not span["references"])
    assert whole["processes"][root["processID"]]["serviceName"] == "page"


@pytest.mark.verifies(
    component="telemetrygen", claim="sends traces, metrics and lines over gRPC and HTTP, all found"
)
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_what_telemetrygen_makes_up_is_found(foreign: Foreign, ran: Recorder, protocol: str) -> None:
    ran("telemetrygen", version=TELEMETRYGEN.version, had=TELEMETRYGEN.had())
    service, settings = f"telemetrygen-{protocol}", foreign.stack.settings
    port = settings.otlp_http_port if protocol == "http" else settings.otlp_grpc_port
    common = ["--otlp-insecure", "--otlp-endpoint", f"127.0.0.1:{port}", "--service", service, "--rate", "0"]
    common += ["--otlp-http"] if protocol == "http" else []
    name = f"made_up_{protocol}"
    for signal in (["traces", "--traces", "3"], ["logs", "--logs", "4"], ["metrics", "--metrics", "5"]):
        more = ["--otlp-metric-name", name] if signal[0] == "metrics" else []
        command = [TELEMETRYGEN.path(), *signal, *more, *common]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    asked = {"service": service}
    until(lambda: len(foreign.traces(**asked)) == 3, "its traces", within=SEEN_SECONDS)
    until(lambda: len(foreign.lines(**asked)) == 4, "its lines", within=SEEN_SECONDS)
    series = f'{{__name__=~"{name}.*",job="{service}"}}'
    until(lambda: foreign.figure(f"count({series})") >= 1, "its metrics", within=SEEN_SECONDS)


def test_the_parts_of_the_file_are_parts_of_the_stack(foreign: Foreign) -> None:
    parts = {part.name: part for part in foreign.stack.status().parts}
    assert parts["shop"].ready
    assert parts["stock"].ready
    assert parts["shop"].address == foreign.shop
