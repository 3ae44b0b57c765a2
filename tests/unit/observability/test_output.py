"""Lines to stdout: none holds up who writes it, all are in order, and each is counted once."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest
from polling import until

from observability.logs.output import LineWriter
from observability.metrics.meters import Families

ROOT = Path(__file__).parents[3]
LINE = b"x" * 999 + b"\n"


class Pipe:
    """A pipe as stdout is one, read only when it is asked for."""

    def __init__(self, sockets: bool = False) -> None:
        self.families = Families()
        if sockets:
            reading, writing = socket.socketpair()
            self.reading, self.writing = reading.detach(), writing.detach()
        else:
            self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.stream: TextIO = os.fdopen(self.writing, "w")
        self.got = b""
        self.writers: list[LineWriter] = []

    def writer(self, **arguments: Any) -> LineWriter:
        self.writers.append(LineWriter(self.families, self.stream, **arguments))
        return self.writers[-1]

    def read(self) -> bytes:
        """All that can be read now."""
        try:
            while piece := os.read(self.reading, 1 << 16):
                self.got += piece
        except BlockingIOError:
            pass
        return self.got

    def count(self, reason: str | None = None) -> float:
        """Lines that were lost for `reason`, or written."""
        name, labels = "log_records_total", {"severity": "INFO"}
        if reason is not None:
            name, labels = "log_records_lost_total", {"error_type": reason}
        return self.families.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture(params=[False, True], ids=["pipe", "socket"])
def pipe(request: Any) -> Iterator[Pipe]:
    pipe = Pipe(sockets=request.param)
    yield pipe
    for writer in pipe.writers:
        writer.close()
    pipe.stream.close()
    os.close(pipe.reading)


def numbered(number: int, size: int = 500) -> bytes:
    return f"{number} ".encode().ljust(size, b".") + b"\n"


def test_a_line_is_out_when_write_returns(pipe: Pipe) -> None:
    pipe.writer().write(LINE, "INFO")
    assert pipe.read() == LINE
    assert pipe.count() == 1


def test_lines_wait_in_order_for_a_slow_reader_and_none_is_lost(pipe: Pipe) -> None:
    writer = pipe.writer()
    for number in range(2000):
        writer.write(numbered(number), "INFO")
    assert pipe.count() < 2000, "the pipe took all: the test proves nothing"
    until(lambda: pipe.read().count(b"\n") == 2000, "all lines to come out")
    assert [int(line.split()[0]) for line in pipe.got.splitlines()] == list(range(2000))
    assert writer.drain(5)
    assert pipe.count() == 2000
    writer.write(numbered(2000), "INFO")
    assert pipe.read().endswith(numbered(2000)), "nothing waits: the next line goes out at once"


def test_where_no_thread_can_be_started_lines_wait_for_one(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    writer = pipe.writer()
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        for number in range(1999):
            writer.write(numbered(number), "INFO")
    assert pipe.count() < 1999, "the pipe took all: the test proves nothing"
    writer.write(numbered(1999), "INFO")
    until(lambda: pipe.read().count(b"\n") == 2000, "all lines to come out")
    assert [int(line.split()[0]) for line in pipe.got.splitlines()] == list(range(2000))


def test_a_reader_that_stands_still_holds_up_nobody(pipe: Pipe) -> None:
    def slowest() -> float:
        writer, taken = pipe.writer(capacity=100_000), []
        for _ in range(2000):
            began = time.perf_counter()
            writer.write(LINE, "INFO")
            taken.append(time.perf_counter() - began)
        until(lambda: pipe.read() and writer.drain(0), "what was not lost to come out")
        writer.close()
        return max(taken)

    assert statistics.median(slowest() for _ in range(3)) < 0.5, "one may meet a stall of the machine"
    lost = pipe.count("buffer_full")
    assert lost
    until(lambda: pipe.read().count(b"\n") == 6000 - lost, "what was not lost to be read")
    assert pipe.count() + lost == 6000


def test_many_threads_write_whole_lines_and_every_line_is_counted_once(pipe: Pipe) -> None:
    writer = pipe.writer(capacity=50_000)
    threads = [
        threading.Thread(target=lambda: [writer.write(numbered(n), "INFO") for n in range(300)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    until(lambda: pipe.read() and not any(thread.is_alive() for thread in threads), "the threads to end")
    until(lambda: pipe.read() and writer.drain(0), "what waits to come out")
    whole = {numbered(number)[:-1] for number in range(300)}
    rows = pipe.read().splitlines()
    assert set(rows) <= whole, "a line is torn"
    assert len(rows) == pipe.count()
    assert pipe.count() + pipe.count("buffer_full") == 2400


def test_what_the_reader_never_took_is_counted_at_the_end(pipe: Pipe) -> None:
    writer = pipe.writer()
    for _ in range(1000):
        writer.write(LINE, "INFO")
    began = time.monotonic()
    lost = writer.close(0.05)
    assert time.monotonic() - began < 10
    assert lost
    assert pipe.count("shutdown_timeout") == lost
    assert pipe.count() + lost == 1000


def test_a_reader_that_goes_away_is_counted_for_all_that_waited() -> None:
    pipe = Pipe()
    writer = pipe.writer()
    for _ in range(1000):
        writer.write(LINE, "INFO")
    os.close(pipe.reading)
    assert writer.drain(5)
    writer.write(LINE, "INFO")
    assert pipe.count("BrokenPipeError") + pipe.count() == 1001
    assert pipe.count("BrokenPipeError") >= 1
    writer.close()
    pipe.stream.close()


def test_a_line_longer_than_the_pipe_is_whole(pipe: Pipe) -> None:
    writer = pipe.writer(capacity=10)
    line = b"y" * 1_000_000 + b"\n"
    writer.write(line, "INFO")
    until(lambda: len(pipe.read()) >= len(line), "the long line to come out")
    assert pipe.got == line


def test_stdout_stays_blocking_for_its_other_owners(pipe: Pipe) -> None:
    pipe.writer().write(LINE, "INFO")
    assert os.get_blocking(pipe.writing)


def test_a_forked_child_does_not_write_what_its_parent_has_waiting() -> None:
    pipe = Pipe()
    writer = pipe.writer()
    for number in range(500):
        writer.write(numbered(number), "INFO")
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        writer.write(b"the child\n", "INFO")
        os._exit(0 if writer.drain(5) else 1)
    until(lambda: b"the child" in pipe.read(), "the child's line")
    assert os.waitpid(child, 0)[1] == 0
    until(lambda: pipe.read().count(b"\n") == 501, "the parent's lines")
    writer.close()
    pipe.stream.close()
    os.close(pipe.reading)


PROGRAM = """
import logging, signal, sys
from observability.logs import handler as logs
from observability.metrics.meters import Families
from observability.testing import settings
logs.install("demo", settings(log_buffer=%d), Families())
signal.signal(signal.SIGUSR1, lambda *_: logging.getLogger("handler").info("in a handler"))
for number in range(3000):
    logging.getLogger("demo").info("line %%d", number)
    if number %% 100 == 0:
        signal.raise_signal(signal.SIGUSR1)
print(logs.drain(0), file=sys.stderr)
"""


def test_a_process_whose_stdout_nobody_reads_ends() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM % 10_000],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.wait(30) == 0
    out, error = process.communicate()
    assert error == b"False\n"
    for row in out.splitlines()[:-1]:
        assert json.loads(row)["service"] == "demo"
