"""The real server under load, a receiver and a reader that are too slow, SIGTERM: all is accounted for."""

from __future__ import annotations

import http.client
import os
import re
import threading
import time
from collections.abc import Iterator

import pytest
from exampleservices import LAST
from polling import until

from benchmarks.loss import Reader, Service, Sink, _made

SECONDS = 5.0
CLIENTS = 6


def load(service: Service) -> list[float]:
    """Requests one after another from each client; answers how long each took."""
    took: list[float] = []
    until_ = time.monotonic() + SECONDS

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
        while (began := time.monotonic()) < until_:
            connection.request("GET", LAST.example)
            assert connection.getresponse().read()
            took.append(time.monotonic() - began)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


class Run:
    """The service between a slow receiver and a slow reader."""

    def __init__(self, **environ: str) -> None:
        self.sink = Sink()
        self.service = Service(self.sink, **environ)
        self.reader: Reader | None = None

    def __enter__(self) -> Run:
        self.service.__enter__()
        os.close(self.service._stdout)  # type: ignore[arg-type]
        self.reader = Reader(self.service.pipe, rate=5_000)
        self.sink.delay = 2.0
        return self

    def __exit__(self, *error: object) -> None:
        self.service.__exit__(None, None, None)
        if self.reader is not None:
            self.reader.rate = 0
            self.reader.thread.join(10)
        os.close(self.service.pipe)
        self.sink.close()

    def end(self) -> dict[str, int]:
        """SIGTERM; answers the spans that the process says it has lost, by reason."""
        assert self.reader is not None
        self.service.terminate()
        self.reader.rate = 0
        assert self.service.wait(30) == 0
        self.reader.thread.join(30)
        said = "".join(line["message"] for line in self.reader.others if "were lost" in line["message"])
        return {reason: int(number) for number, reason in re.findall(r"(\d+) (\w+)(?:,|$)", said)}

    def lines(self, *names: str) -> float:
        found = self.service.metrics()
        return sum(value for key, value in found.items() if key.startswith(names))


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    with Run(**request.param) as running:
        yield running


LARGE = {"OTEL_BSP_MAX_QUEUE_SIZE": "100000", "DASHCAM_SHUTDOWN_TIMEOUT": "20"}
SMALL = {"OTEL_BSP_MAX_QUEUE_SIZE": "50", "DASHCAM_LOG_BUFFER": "10000", "DASHCAM_SHUTDOWN_TIMEOUT": "0.1"}
"""So small that a slow machine exceeds them too."""


@pytest.mark.parametrize("run", [LARGE], indirect=True)
def test_within_the_bounds_nothing_is_lost_not_even_at_the_end(run: Run) -> None:
    load(run.service)
    made = _made(run.service)
    assert run.lines("log_records_total") < made, "the reader kept up: the test proves nothing"
    run.sink.delay = 0.0
    assert run.end() == {}
    assert run.sink.spans == made
    assert run.reader is not None
    assert run.reader.lines == made


@pytest.mark.parametrize("run", [SMALL], indirect=True)
def test_beyond_the_bounds_all_that_is_lost_is_counted_and_no_request_waits(run: Run) -> None:
    took = sorted(load(run.service))
    assert took[len(took) // 2] < 1.0, "requests wait for the receiver"
    made = _made(run.service)
    assert run.reader is not None
    run.reader.rate = 0
    until(
        lambda: run.lines("log_records_total", "log_records_lost_total") >= made,
        "what waits to be read",
        within=30,
    )
    lines_lost = run.lines("log_records_lost_total")
    spans_lost = run.end()
    assert lines_lost
    assert run.reader.lines + lines_lost == made
    assert spans_lost["queue_full"]
    assert spans_lost["shutdown_timeout"]
    # What was on its way at the end is counted as lost, and may have arrived: at most one batch.
    assert 0 <= run.sink.spans + sum(spans_lost.values()) - made <= 50
