"""How a stack is broken: slow clients, odd hosts, second instances, and several stacks at a time."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dashcam.lab import job_runner, slowclients
from dashcam.lab.faulty_host import set_clock
from dashcam.lab.injection import Bench, Interrupted
from dashcam.lab.job_runner import Job
from dashcam.lab.scenario import BadScenario, load
from dashcam.lab.second_instance import Twin
from dashcam.lab.verify import Result

ODD_HOST = Path(__file__).parents[3] / "dashcam" / "lab" / "faulty_host.py"

# -- slow clients ----------------------------------------------------------------------------------


def test_slow_clients_are_as_many_as_asked_for_and_come_back_and_leave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slowclients, "PAUSE", 0.01)
    with ExitStack() as opened:
        server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        server.settimeout(10)

        def accept() -> socket.socket:
            return opened.enter_context(server.accept()[0])

        with slowclients.sending(f"http://127.0.0.1:{server.getsockname()[1]}/cars", 3, token="secret"):
            first, *others = [accept() for _ in range(3)]
            head = b""
            while b"\r\n\r\n  " not in head:
                head += first.recv(1)
            assert head.startswith(b"POST /cars HTTP/1.1\r\n")
            assert b"Authorization: Bearer secret\r\n" in head
            first.shutdown(socket.SHUT_RDWR)
            others.append(accept())
        for client in others:
            client.settimeout(10)
            assert b"".join(iter(partial(client.recv, 65536), b"")).startswith(b"POST ")


@pytest.mark.parametrize("count", [0, slowclients.MOST + 1])
def test_slow_clients_are_bounded(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 64"), slowclients.sending("http://127.0.0.1:9/", count):
        pass


# -- odd hosts -------------------------------------------------------------------------------------


def odd(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "told.py").write_text(
        "import sys, time, logging\n"
        "from time import time_ns\n"
        "try:\n"
        "    print(time.time(), flush=True)\n"
        "except OSError as error:\n"
        "    print('lost:', error.strerror, file=sys.stderr)\n"
        "    sys.stdout = sys.stderr\n"
        "print(time_ns() / 1e9, logging.makeLogRecord({}).created, __name__, file=sys.stderr)\n"
    )
    command = [sys.executable, str(ODD_HOST), *options, "told"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)


def test_every_clock_of_the_process_is_off_by_as_much(tmp_path: Path) -> None:
    done = odd(tmp_path, "--clock=3600")
    nanoseconds, logged, name = done.stderr.split()
    for told in (done.stdout, nanoseconds, logged):
        assert float(told) == pytest.approx(time.time() + 3600, abs=60)
    assert name == "__main__"


def test_where_the_disk_is_full_nothing_can_be_written(tmp_path: Path) -> None:
    done = odd(tmp_path, "--log=full")
    assert done.stdout == ""
    assert done.stderr.startswith("lost: ")


def test_the_clock_of_a_host_in_order_is_right(tmp_path: Path) -> None:
    assert float(odd(tmp_path).stdout) == pytest.approx(time.time(), abs=60)


def test_a_clock_can_be_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", time.time)  # put back at the end
    monkeypatch.setattr(time, "time_ns", time.time_ns)
    right = time.monotonic(), time.time()
    set_clock(-100)
    assert time.time() - right[1] == pytest.approx(-100 + time.monotonic() - right[0], abs=30)


# -- scenarios' files ------------------------------------------------------------------------------


def test_a_second_instance_is_of_a_service_that_has_traffic() -> None:
    with pytest.raises(ValueError, match="'price' would have no traffic: give car or web"):
        Twin("price")


def test_a_file_that_asks_for_what_cannot_be_is_told(tmp_path: Path) -> None:
    expect = "{kind: slow, service: car, signals: {traces: its own time}}"
    text = f"title: a\ndescription: b\nexpect: {expect}\nhow: {{twin: {{service: price}}}}\n"
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(BadScenario, match=r"odd\.yaml .*'price'"):
        load(tmp_path)


# -- several stacks --------------------------------------------------------------------------------


class Stacks:
    """Stands for stacks that are started and ended; `verify` is replaced by what a test gives."""

    def __init__(self) -> None:
        self.open: set[int] = set()
        self.most = 0
        self.lock = threading.Lock()

    @contextmanager
    def make(self, number: int) -> Iterator[Bench]:
        with self.lock:
            self.open.add(number)
            self.most = max(self.most, len(self.open))
        try:
            yield Bench(None, None)  # type: ignore[arg-type]  # nothing here asks them
        finally:
            self.open.remove(number)


def named(name: str, **more: Any) -> Result:
    return Result(name, "", "", True, **more)


def test_every_job_is_done_once_on_no_more_stacks_than_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stacks, scenarios = Stacks(), list(load().values())
    monkeypatch.setattr(job_runner, "verify", lambda bench, one, baseline, since: named(one.name))
    done = [one.name for one in job_runner.run(job_runner.jobs(scenarios, 0), stacks.make, 2, 1.0)]
    assert sorted(done) == sorted(one.name for one in scenarios)
    assert stacks.most <= 2
    assert not stacks.open


def test_the_time_after_a_recovery_counts_for_the_next_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float | None] = []
    results = iter(
        [
            named("a", clean=100.0, recovered=12.0),
            named("b", clean=200.0),
            named("c", clean=300.0, recovered=9.0),
        ]
    )

    def verify(bench: Bench, one: Any, baseline: float, since: float | None) -> Result:
        given.append(since)
        return next(results)

    monkeypatch.setattr(job_runner, "verify", verify)
    list(job_runner.run(job_runner.jobs(list(load().values())[:3], 0), Stacks().make, 1, 1.0))
    assert given == [None, 100.0, None], "where no recovery was seen, a baseline begins anew"


def test_an_error_on_one_stack_ends_the_others_and_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    stacks, jobs = Stacks(), job_runner.jobs(list(load().values()), 0)

    def verify(bench: Bench, one: Any, baseline: float, since: float | None) -> Result:
        if one.name == jobs[0].name:
            raise RuntimeError("the supervisor is gone")
        bench.sleep(60)
        return named(one.name)

    monkeypatch.setattr(job_runner, "verify", verify)
    began = time.monotonic()
    with pytest.raises(RuntimeError, match="the supervisor is gone"):
        list(job_runner.run(jobs, stacks.make, 2, 1.0))
    assert time.monotonic() - began < 30
    assert not stacks.open


def test_a_bench_that_is_told_to_end_sleeps_no_more() -> None:
    bench = Bench(None, None)  # type: ignore[arg-type]  # nothing here asks them
    bench.over.set()
    with pytest.raises(Interrupted):
        bench.sleep(60)


def test_runs_without_a_fault_come_first() -> None:
    scenarios = list(load().values())[:1]
    assert job_runner.jobs(scenarios, 2) == [Job("healthy", runs=2), Job(scenarios[0].name, scenarios[0])]


def test_what_takes_longest_begins_first() -> None:
    settled = [job.scenario.settle for job in job_runner.jobs(list(load().values()), 0) if job.scenario]
    assert settled == sorted(settled, reverse=True)
    assert settled[0] > settled[-1]


@pytest.mark.parametrize("signals", ["", "signals: {}", "signals: {rumours: someone says so}"])
def test_a_file_must_say_which_signals_speak_for_its_cause(tmp_path: Path, signals: str) -> None:
    text = f"title: a\ndescription: b\nhow: {{}}\nexpect:\n  kind: slow\n  service: car\n  {signals}\n"
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(BadScenario, match=r"odd\.yaml .*signals"):
        load(tmp_path)
