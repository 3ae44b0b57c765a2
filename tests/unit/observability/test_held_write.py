"""A write that cannot wait keeps the interpreter, and fails as `os.write` does."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from observability.held_write import write


@pytest.fixture
def others() -> Iterator[Callable[[Callable[[], object]], int]]:
    """Counts how often another thread, which is always ready, gets the interpreter during a call."""
    turns, done = 0, threading.Event()

    def run() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            time.sleep(0)

    def counted(call: Callable[[], object]) -> int:
        before = turns
        call()
        return turns - before

    interval = sys.getswitchinterval()
    sys.setswitchinterval(600)  # nobody is made to give it away
    thread = threading.Thread(target=run)
    thread.start()
    yield counted
    done.set()
    sys.setswitchinterval(interval)
    thread.join()


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_no_other_thread_gets_a_turn(others: Callable[..., int], tmp_path: Path, kind: str) -> None:
    if kind == "file":
        descriptors = [os.open(tmp_path / "lines", os.O_WRONLY | os.O_CREAT)]
    else:
        descriptors = list(os.pipe2(os.O_NONBLOCK))
    try:
        assert others(lambda: [write(descriptors[-1], b"line\n") for _ in range(300)]) == 0
        assert others(lambda: [os.write(descriptors[-1], b"line\n") for _ in range(300)]) > 0, (
            "it waits for one"
        )
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def test_it_says_what_was_taken_and_why_not() -> None:
    reading, writing = os.pipe2(os.O_NONBLOCK)
    try:
        assert write(writing, b"a\0b") == 3
        assert os.read(reading, 10) == b"a\0b"
        assert 0 < write(writing, bytes(1 << 20)) < 1 << 20
        with pytest.raises(BlockingIOError):
            write(writing, b"x")
    finally:
        os.close(reading)
    with pytest.raises(BrokenPipeError):
        write(writing, b"x")
    os.close(writing)
    with pytest.raises(OSError, match="Bad file descriptor"):
        write(writing, b"x")
