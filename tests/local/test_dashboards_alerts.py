"""Alerts on real services, Prometheus and Alertmanager: what fires, what resolves, who is told how often.

Rules and routing are the generated ones, thirty times faster (`monitoring.SCALE`). The services are processes
of the test's own, so that one can be killed without disturbing anybody else's stack.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from exampleservices import LAST
from exampleservices import QUOTE as QUOTED
from monitoring import FASTER, Told, alertmanager, program, prometheus
from polling import until
from ruleset import ROOT

from dashcam.stack.ports import free_port

pytestmark = pytest.mark.takes(185)

DOWN = f"ServiceDown {LAST.name}"
QUOTE = "/cars/bentz/e-class/quote"
PIECE = 300 / FASTER
"""Seconds of the pieces that the budget's thirty days are added up from: five minutes in the rules."""


@dataclass
class Services:
    """The services of a quote, each started and stopped by itself."""

    folder: Path
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in QUOTED})
    admin: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in QUOTED})

    def url(self, name: str, path: str = "") -> str:
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    @property
    def targets(self) -> dict[str, str]:
        return {name: f"127.0.0.1:{port}" for name, port in self.admin.items()}

    @contextmanager
    def running(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        environ = {
            **os.environ,
            "DASHCAM_STATE_DIR": str(self.folder),
            "PORT": str(self.ports[name]),
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(self.admin[name]),
            "OTEL_TRACES_EXPORTER": "none",
            **{f"{each.upper()}_URL": self.url(each) for each in QUOTED},
            f"{LAST.name.upper()}_CIRCUIT_RECOVERY": "1",
        }
        with program(
            sys.executable,
            "-m",
            f"services.{name}",
            log=self.folder / f"{name}.log",
            ready=f"http://127.0.0.1:{self.admin[name]}/livez",
            cwd=ROOT,
            env=environ,
        ) as process:
            # The admin port answers a moment before the service's own.
            until(lambda: httpx.get(self.url(name, "/no-such-page"), timeout=2), f"{name} to answer")
            yield process


class Clients(threading.Thread):
    """Five pages with a quote every second, until stopped."""

    def __init__(self, services: Services) -> None:
        super().__init__(daemon=True)
        self._url = services.url("web", "/cars/bentz/e-class?discount=500")
        self._ended = threading.Event()

    def run(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._ended.wait(0.2):
                client.get(self._url)

    def stop(self) -> None:
        self._ended.set()
        self.join(15)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    return Services(tmp_path_factory.mktemp("services"))


def test_the_recording_rules_hold_what_was_sent(services: Services, tmp_path: Path) -> None:
    """40 answers, then 10 failures, by hand: 50 events of car, a ratio of 0.2; of quotes every one fails.

    They are the first of all: neither the answers nor the failures have a series before.
    """
    with services.running("car"), prometheus(tmp_path, services.targets) as server:
        zero = 'count_over_time(slo:failures:total{slo="car-availability"}[1m])'
        until(lambda: (server.value(zero) or 0) >= 2, "two counts of nothing, which is where counting begins")
        counted = 'sum(http_server_request_duration_seconds_count{job="car",http_route!="unmatched"})'
        # What grows between the last sample of a piece and the first of the next is in neither. Of growth
        # that goes on, the rest of the piece makes up for that; of what comes all at once, it is missing.
        until(lambda: 1 < time.time() % PIECE < 0.4 * PIECE, "the beginning of a piece", within=2 * PIECE)
        with httpx.Client(timeout=30) as client:
            for _ in range(40):
                assert client.get(services.url("car", "/cars")).status_code == 200
            for _ in range(10):
                assert client.get(services.url("car", QUOTE)).status_code == 503
        until(lambda: server.value(counted) == 50, "all requests in Prometheus")
        car, quote = '{slo="car-availability"}', '{slo="quote-availability"}'

        def settled() -> bool:
            """increase() reaches half a scrape past its samples; the longer it looks, the less that is."""
            events = server.value(f"slo:events:increase1h{car}")
            failures = server.value(f"slo:failures:increase1h{car}")
            ratio = server.value(f"slo:failures:ratio1h{car}")
            close = (pytest.approx(50, rel=0.1), pytest.approx(10, rel=0.1), pytest.approx(0.2, rel=0.03))
            return (events, failures, ratio) == close  # type: ignore[comparison-overlap]

        until(settled, lambda: f"50, 10, 0.2: {server.query(car)}", every=0.5)
        until(
            lambda: server.value(f"slo:failures:ratio1h{quote}") == pytest.approx(1, rel=0.01),
            lambda: f"every quote to have failed: {server.query(quote)}",
        )
        assert server.value(f"slo:objective:ratio{car}") == 0.999

        def left() -> bool:
            spent = server.value(f"slo:budget_left:ratio{car}")
            # 20 % failed where 0.1 % may: the budget is spent two hundred times, 1 - 200 is left.
            return spent is not None and spent == pytest.approx(1 - 0.2 / 0.001, rel=0.1)

        until(left, lambda: f"a budget spent 200 times: {server.query('slo:budget_left:ratio')}")


@dataclass
class Outage:
    """What happened while the last service was away for a while."""

    before: set[str]
    during: set[str]
    told_during: Told
    told: Told
    missed: set[str]
    """Other services of which a busy machine missed scrapes: that they were told to be down is no mistake."""

    def of(self, told: Told, receiver: str, status: str) -> list[tuple[dict[str, str], list[str]]]:
        noise = [({"service": name}, ["ServiceDown"]) for name in self.missed]
        return [each for each in told.of(receiver, status) if each not in noise]


@pytest.fixture(scope="module")
def outage(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outage]:
    folder = tmp_path_factory.mktemp("outage")
    with ExitStack() as running:
        for name in ("web", "car"):
            running.enter_context(services.running(name))
        last = ExitStack()
        last.enter_context(services.running(LAST.name))
        running.callback(last.close)
        address, told = running.enter_context(alertmanager(folder / "alertmanager"))
        server = running.enter_context(prometheus(folder / "prometheus", services.targets, address))
        clients = Clients(services)
        clients.start()
        running.callback(clients.stop)
        until(lambda: (server.value("sum(slo:events:increase5m)") or 0) > 30, "traffic in the rules")
        # Prometheus looks for targets only after its first five seconds, which no scale shortens: until then
        # all services count as down. Whoever was told so must have been told that it is over.
        until(lambda: not server.firing(), lambda: f"nothing to fire: {server.firing()}")
        until(
            lambda: len(told.of("page", "firing")) == len(told.of("page", "resolved")),
            lambda: f"the start to be over: {told.messages}",
        )
        before, told_before = server.firing(), len(told.messages)
        last.close()
        until(
            lambda: Told(told.messages[told_before:]).of("page", "firing"),
            lambda: f"a page; firing: {server.firing()}",
        )
        wanted = {DOWN, "AvailabilityBurnFast car quote-availability"}
        until(lambda: wanted <= server.firing(), lambda: f"{wanted} to fire: {server.firing()}")
        time.sleep(15)  # two and a half group intervals: whoever is told twice is told by now
        during, told_during = server.firing(), Told(told.messages[told_before:])
        with services.running(LAST.name):
            pages = ("ServiceDown", "CircuitOpen", "AvailabilityBurnFast")
            until(
                lambda: not any(name.startswith(pages) for name in server.firing()),
                lambda: f"the pages to resolve: {server.firing()}",
                within=400,  # an hour of the burn rates, of which half an hour is `keep_firing_for`
            )
            until(
                lambda: Told(told.messages[told_before:]).of("page", "resolved"),
                lambda: f"the message that it is over: {told.messages}",
            )
            unseen = server.query(f'min by (job) (min_over_time(up{{job!="{LAST.name}"}}[10m])) == 0')
            missed = {labels["job"] for labels, _ in unseen}
            yield Outage(before, during, told_during, Told(told.messages[told_before:]), missed)


def test_healthy_services_under_traffic_fire_nothing(outage: Outage) -> None:
    assert outage.before == set()


def test_an_outage_fires_the_cause_and_the_availability_of_those_it_hurts(outage: Outage) -> None:
    assert DOWN in outage.during
    assert "AvailabilityBurnFast car quote-availability" in outage.during
    assert "CircuitOpen car" in outage.during


def test_one_broken_dependency_notifies_once(outage: Outage) -> None:
    assert outage.of(outage.told_during, "page", "firing") == [({"service": LAST.name}, ["ServiceDown"])]
    assert outage.told_during.of("ticket", "firing") == [], "no ticket for what the page explains"


def test_the_alerts_resolve_when_the_cause_is_mended_and_the_message_says_so(outage: Outage) -> None:
    told = outage.told
    assert len(outage.of(told, "page", "firing")) == 1, f"the mending told nobody of it: {told.messages}"
    resolved = [group for group, _ in outage.of(told, "page", "resolved")]
    assert resolved == [{"service": LAST.name}], told.messages


def test_watchdog_reaches_its_receiver_all_along(outage: Outage) -> None:
    assert outage.told_during.of("watchdog", "firing")
