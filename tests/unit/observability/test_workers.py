"""Several workers, one /metrics: right sums, exemplars kept, and no counter that falls."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from exampleservices import LAST, ROUTE
from polling import until
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from dashcam.stack.ports import free_port
from observability import schema
from observability.metrics.exposition import render
from observability.metrics.meters import Families
from observability.metrics.workers import WorkerGroup, private_folder
from observability.settings import SettingError

ROOT = Path(__file__).parents[3]


class Port:
    """Stands for the admin port: it can be owned by one at a time."""

    def __init__(self) -> None:
        self.owner: Any = None
        self.taken_by_a_stranger = False

    def open(self, collector: Any) -> Callable[[], None]:
        if self.taken_by_a_stranger:
            raise SettingError("OTEL_EXPORTER_PROMETHEUS_PORT=1 cannot be used")
        assert self.owner is None, "two workers own the port"
        self.owner = collector
        return self.close

    def close(self) -> None:
        self.owner = None


class Workers:
    def __init__(self, folder: Path) -> None:
        self.port = Port()
        self.folder = folder
        self.groups: list[WorkerGroup] = []

    def add(self) -> tuple[Families, WorkerGroup]:
        families = Families()
        group = WorkerGroup(self.folder, str(len(self.groups)), families.registries, self.port.open)
        self.groups.append(group)
        group.start()
        return families, group

    def stop(self, group: WorkerGroup) -> None:
        self.groups[self.groups.index(group)] = None  # type: ignore[call-overload]
        group.stop()

    def kill(self, group: WorkerGroup) -> None:
        """End a worker without a word, as SIGKILL does: its sockets and its lock are gone."""
        self.groups[self.groups.index(group)] = None  # type: ignore[call-overload]
        group._stopping.set()
        group._server._server.shutdown()
        group._server._server.server_close()
        if group.owns_the_port:
            self.port.close()
        os.close(group._lock)

    def text(self) -> str:
        """What the owner would answer a scrape."""
        return render(self.port.owner.snapshot(), openmetrics=True).decode()

    def value(self, name: str, **labels: str) -> float | None:
        until(lambda: self.port.owner, "a worker to own the port")
        found = [
            sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
            if sample.name == name and sample.labels == labels
        ]
        assert len(found) <= 1
        return found[0] if found else None


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(tmp_path / "run")
    yield workers
    for group in workers.groups:
        if group is not None:
            group.stop()


QUOTES = schema.Metric("car_quotes", "counter", "Quotes.", ("outcome",))
"""A service's own."""


def quotes(families: Families) -> Any:
    return families.metric(QUOTES).labels(outcome="ok")


def test_counters_histograms_and_gauges_are_merged(workers: Workers) -> None:
    for number in (1, 2, 3):
        families, _ = workers.add()
        quotes(families).inc(number)
        families.metric(schema.SERVER_THREADS).set(8)
        families.metric(schema.CIRCUIT_OPEN).labels(dependency="other").set(number == 2)
        families.metric(schema.DEPENDENCY_UP).labels(dependency="db").set(number != 2)
        families.metric(schema.EXPORT_DURATION).labels(error_type="").observe(0.02 * number)
    assert workers.value("car_quotes_total", outcome="ok") == 6
    assert workers.value("dashcam_server_threads") == 24
    assert workers.value("dashcam_circuit_open", dependency="other") == 1
    assert workers.value("dashcam_dependency_up", dependency="db") == 0
    name = "otel_sdk_exporter_operation_duration_seconds"
    assert workers.value(f"{name}_count", error_type="") == 3
    assert workers.value(f"{name}_sum", error_type="") == pytest.approx(0.12)
    assert workers.value(f"{name}_bucket", error_type="", le="0.025") == 1


def test_process_metrics_are_kept_for_each_worker(workers: Workers) -> None:
    workers.add()
    workers.add()
    for worker in ("0", "1"):
        assert workers.value("process_resident_memory_bytes", worker=worker)


def test_the_newest_exemplar_of_a_bucket_survives(workers: Workers) -> None:
    for trace in ("a" * 32, "b" * 32):
        worker, _ = workers.add()
        worker.metric(schema.EXPORT_DURATION).labels(error_type="").observe(0.001, {"trace_id": trace})
    found = [
        s.exemplar for f in text_string_to_metric_families(workers.text()) for s in f.samples if s.exemplar
    ]
    assert [exemplar.labels for exemplar in found] == [{"trace_id": "b" * 32}]


def test_one_worker_owns_the_port_and_the_next_takes_over(workers: Workers) -> None:
    _, first = workers.add()
    _, second = workers.add()
    assert first.owns_the_port
    assert not second.owns_the_port
    workers.stop(first)
    until(lambda: second.owns_the_port, "the second worker to take over")


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("which", ["owner", "other"])
def test_no_counter_falls_when_a_worker_goes(workers: Workers, end: str, which: str) -> None:
    owner, other = workers.add(), workers.add()
    for families, _ in (owner, other):
        quotes(families).inc(10)
        families.metric(schema.HTTP_SERVER_ACTIVE).labels(http_request_method="GET").set(1)
    assert workers.value("car_quotes_total", outcome="ok") == 20
    getattr(workers, end)((owner if which == "owner" else other)[1])
    assert workers.value("car_quotes_total", outcome="ok") == 20
    fresh, _ = workers.add()
    quotes(fresh).inc(5)
    assert workers.value("car_quotes_total", outcome="ok") == 25
    gauge = workers.value("http_server_active_requests", http_request_method="GET")
    assert gauge == 1, "the gauge of a worker that is gone is stale"


def test_what_was_counted_after_the_last_scrape_is_kept_when_a_worker_ends_in_order(
    workers: Workers,
) -> None:
    workers.add()
    families, leaving = workers.add()
    quotes(families).inc(1)
    assert workers.value("car_quotes_total", outcome="ok") == 1
    quotes(families).inc(1)
    workers.stop(leaving)
    assert workers.value("car_quotes_total", outcome="ok") == 2


def test_nothing_is_left_when_the_last_worker_ends(workers: Workers) -> None:
    _, group = workers.add()
    workers.stop(group)
    assert not workers.folder.exists()


def test_a_taken_port_ends_the_first_worker_with_its_reason(workers: Workers) -> None:
    workers.port.taken_by_a_stranger = True
    with pytest.raises(SettingError, match="OTEL_EXPORTER_PROMETHEUS_PORT"):
        workers.add()


def test_a_folder_that_others_can_read_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(SettingError, match="is not this user's alone"):
        private_folder(tmp_path)


# -- the real thing: two worker processes of the real server ---------------------------------------------


def fetch(url: str, **headers: str) -> str:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        error.close()
        raise


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[str, str, subprocess.Popen[bytes]]]:
    port, admin = free_port(), free_port()
    environ = {
        **os.environ,
        "PORT": str(port),
        "WEB_CONCURRENCY": "2",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(admin),
        "OTEL_TRACES_EXPORTER": "none",
        "DASHCAM_RUN_DIR": str(tmp_path),
        "DASHCAM_GRACE_PERIOD": "1",
        "DASHCAM_SHUTDOWN_TIMEOUT": "1",
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"services.{LAST.name}"], cwd=ROOT, env=environ, stdout=log
        )
    try:
        yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}", process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            process.kill()


def samples(admin: str) -> list[Any]:
    text = fetch(f"{admin}/metrics", Accept="application/openmetrics-text; version=1.0.0")
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def count(admin: str) -> float:
    wanted = ("http_server_request_duration_seconds_count", ROUTE)
    return sum(s.value for s in samples(admin) if (s.name, s.labels.get("http_route")) == wanted)


def test_two_processes_of_the_real_server_are_one_target(service: Any) -> None:
    url, admin, process = service
    for where in (url + LAST.example, admin + "/readyz"):
        until(lambda where=where: fetch(where), f"{where} to answer", within=30)
    before = count(admin)
    for _ in range(40):
        fetch(url + LAST.example)
    assert count(admin) == before + 40
    until(
        lambda: {s.labels["worker"] for s in samples(admin) if s.name.startswith("process_")} == {"0", "1"},
        "the process metrics of both workers",
    )
    assert any(s.exemplar for s in samples(admin))
    for victim in psutil.Process(process.pid).children():  # one of them owns the port
        victim.kill()
        until(lambda: count(admin) == before + 40, "the count, whole again", within=30)
    until(lambda: len(psutil.Process(process.pid).children()) == 2, "both to be replaced", within=60)
    until(lambda: fetch(url + LAST.example), "the new workers to answer", within=60)
    until(lambda: count(admin) == before + 41, "a request to the new workers to be counted", within=30)
