"""Every Prometheus query of every panel is executed and must return data.

What runs on a laptop is asked with the real stack under traffic; what needs a cluster is asked with recorded
expositions of its components (`dashboards/tests/expositions`, with their origin) in a real Prometheus, which
takes them in as the cluster's does.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from exampleservices import LAST, SERVICES
from monitoring import SCRAPE, Prometheus, expositions, prometheus
from polling import until
from ruleset import GENERATED, ROOT, read, rules

from dashboards.preview import Window, render
from dashboards.preview.render import defaults
from dashboards.src import promql
from dashboards.src.current import every_panel
from dashcam.sources import SourceSettings, connect
from observability.settings import from_environ

if TYPE_CHECKING:
    from local.conftest import RunningStack

BOARDS = [
    json.loads(path.read_text()) for path in sorted((GENERATED / "grafana" / "dashboards").glob("*.json"))
]
EXPOSITIONS = {
    path.stem: path for path in sorted((ROOT / "dashboards" / "tests" / "expositions").glob("*.prom"))
}
IN_CLUSTER = {
    job["job_name"]: job for job in read(ROOT / "k8s/base/prometheus/prometheus.yml")["scrape_configs"]
}
NOT_RECORDED = {
    "certmanager_certificate_expiration_timestamp_seconds",
    "container_memory_rss",
    "container_oom_events_total",
    "kubelet_volume_stats_inodes",
    "kubelet_volume_stats_inodes_free",
}
"""The first is of an operator that may or may not be there; the alert on certificates works with either of
two metrics. The others are cAdvisor's and the kubelet's by their documentation: they were cut off when the
pages were recorded."""
RARELY = 2.0
"""Seconds between two scrapes of pages that nobody hurries: a busy machine misses none."""


@dataclass(frozen=True)
class Asked:
    """A query of a panel, as Prometheus gets it."""

    board: str
    panel: str
    query: str
    legend: str = ""

    def __str__(self) -> str:
        return f"{self.board}: {self.panel}: {self.query}"


def asked_of(service: str = "car", scrape: float = SCRAPE) -> list[Asked]:
    interval = f"{int(scrape * 1000 * 12)}ms"
    own = {"service": service, "__rate_interval": interval, "__interval": interval}
    return [
        Asked(
            board["uid"],
            panel["title"],
            Window(0, variables=defaults(board) | own).fill_in(target["expr"]),
            target["legendFormat"],
        )
        for board in BOARDS
        for panel in every_panel(board)
        for target in panel.get("targets", ())
        if "expr" in target
    ]


LOCAL = [asked for asked in asked_of() if not promql.needs_cluster(asked.query)]
CLUSTER = [asked for asked in asked_of(scrape=RARELY) if promql.needs_cluster(asked.query)]


class Traffic(threading.Thread):
    """What people do, until stopped: pages, quotes, reads by ETag, a write, an order, and some mistakes."""

    def __init__(self, stack: RunningStack) -> None:
        super().__init__(daemon=True)
        self._stack = stack
        self._ended = threading.Event()

    def run(self) -> None:
        with httpx.Client(timeout=30) as client:
            for number in itertools.count():
                with suppress(httpx.TimeoutException):  # a busy machine; the next round comes
                    self._round(client, number)
                if self._ended.wait(0.2):
                    return

    def _round(self, client: httpx.Client, number: int) -> None:
        car = self._stack.car
        client.get(f"{self._stack.web}/")
        client.get(f"{self._stack.web}/cars/bentz/e-class", params={"discount": "500"})
        client.get(f"{car}/cars/bentz/e-class/quote", params={"discount": "99999999"})
        client.get(f"{car}/no-such-route")
        tag = client.get(f"{car}/cars/bentz/e-class").headers["etag"]
        client.get(f"{car}/cars/bentz/e-class", headers={"if-none-match": tag})
        description = {"description": f"Seen in round {number}."}
        client.put(f"{car}/cars/bentz/e-class/description", json=description)
        order = {"maker": "bentz", "model": "e-class", "discount": 500}
        client.post(f"{self._stack.service('orders')}/orders", json=order)

    def stop(self) -> None:
        self._ended.set()
        self.join(15)


@pytest.fixture(scope="module")
def local(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    targets = {
        **{name: stack.admin(name) for name in SERVICES},
        "receiver": stack.receiver,
        "console": stack.console,
        "prometheus": stack.prometheus,
        "alertmanager": stack.alertmanager,
    }
    traffic = Traffic(stack)
    traffic.start()
    try:
        hosts = {job: url.removeprefix("http://") for job, url in targets.items()}
        with prometheus(tmp_path_factory.mktemp("local"), hosts) as server:
            yield server
    finally:
        traffic.stop()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    # What the cluster's Prometheus does with the labels and samples of a job, it does here.
    kept = ("honor_labels", "metric_relabel_configs")
    how = {
        job: {
            "metrics_path": f"/{job}",
            **{key: IN_CLUSTER[job][key] for key in kept if key in IN_CLUSTER.get(job, {})},
        }
        for job in EXPOSITIONS
    }
    with (
        expositions(EXPOSITIONS) as target,
        prometheus(
            tmp_path_factory.mktemp("cluster"), dict.fromkeys(EXPOSITIONS, target), how=how, scrape=RARELY
        ) as server,
    ):
        yield server


def _unnamed(server: Prometheus, asked: list[Asked]) -> list[Asked]:
    """Those with a series that their legend gives no name: Grafana would call it `{job="car"}`."""

    def name(legend: str, labels: dict[str, str]) -> str:
        return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend).strip()

    return [each for each in asked for labels, _ in server.query(each.query) if not name(each.legend, labels)]


def _answers(server: Prometheus, query: str) -> bool:
    return any(not math.isnan(value) for _, value in server.query(query))


def _all_answered(server: Prometheus, asked: list[Asked]) -> None:
    """Each query has data within the time of a few scrapes; an assertion names those that have none."""
    left = list(asked)

    def try_again() -> bool:
        left[:] = [each for each in left if not _answers(server, each.query)]
        return not left

    until(try_again, lambda: "data of\n" + "\n".join(map(str, left)), every=1)


def test_every_panel_that_runs_on_a_laptop_shows_data_under_traffic(local: Prometheus) -> None:
    assert len(LOCAL) > 70
    _all_answered(local, LOCAL)
    assert _unnamed(local, LOCAL) == []


def test_every_panel_that_needs_a_cluster_shows_data_of_its_components(cluster: Prometheus) -> None:
    assert {asked.board for asked in CLUSTER} == {"dashcam-pipeline", "dashcam-workloads"}
    _all_answered(cluster, [each for each in CLUSTER if not promql.metrics(each.query) & NOT_RECORDED])


def test_every_series_that_a_rule_or_panel_selects_exists_in_the_components(cluster: Prometheus) -> None:
    """An alert that is quiet proves nothing; what it looks at has to be there."""
    expressions = [rule["expr"] for rule in rules()] + [asked.query for asked in CLUSTER]
    selectors = sorted({each for text in expressions for each in promql.selectors(text)})
    asked = [Asked("rules and panels", "", each) for each in selectors if promql.needs_cluster(each)]
    assert len(asked) > 40
    _all_answered(cluster, [each for each in asked if promql.metrics(each.query) - NOT_RECORDED])


@pytest.mark.parametrize("service", ["web", LAST.name])
def test_the_page_of_one_service_serves_the_others_too(local: Prometheus, service: str) -> None:
    everywhere = (
        "Requests by route",
        "Answers by status",
        "Durations",
        "Threads busy",
        "Memory",
        "Log lines by severity",
    )
    asked = [
        each for each in asked_of(service) if each.board == "dashcam-service" and each.panel in everywhere
    ]
    assert {each.panel for each in asked} == set(everywhere)
    _all_answered(local, asked)


def test_a_histogram_keeps_exemplars_whose_trace_exists(local: Prometheus, stack: RunningStack) -> None:
    def exemplar() -> str | None:
        params = {
            "query": 'http_server_request_duration_seconds_bucket{job="web"}',
            "start": "0",
            "end": "9999999999",
        }
        rows = httpx.get(f"{local.url}/api/v1/query_exemplars", params=params, timeout=30).json()["data"]
        return next((found["labels"]["trace_id"] for row in rows for found in row["exemplars"]), None)

    trace_id = until(exemplar, "an exemplar of web's durations")
    until(
        lambda: httpx.get(f"{stack.console}/api/traces/{trace_id}", timeout=30).status_code == 200,
        f"the trace {trace_id} of the exemplar",
    )


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_the_preview_draws_every_panel_of_a_dashboard(local: Prometheus, board: dict[str, Any]) -> None:
    source = connect(from_environ(SourceSettings, {}, prometheus_url=local.url)).metrics
    body = render(board, source)
    assert 'class="failed"' not in body
    for panel in every_panel(board):
        assert f">{panel['title']}</h" in body.replace("&#x27;", "'")
