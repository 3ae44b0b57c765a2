"""A write that cannot wait keeps the interpreter, and fails as `os.write` does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from observability.logs.held_write import write

ROOT = Path(__file__).parents[3]
TURNS = """
import os, sys, threading, time
from observability.logs.held_write import write

turns = 0

def other():
    global turns
    while True:
        turns += 1
        time.sleep(0)

def writes_until_a_turn(write, most):
    before = turns
    for number in range(most):
        write(1, b"line")
        if turns > before:
            return number
    return most

sys.setswitchinterval(600)  # nobody is made to give the interpreter away
threading.Thread(target=other, daemon=True).start()
print(writes_until_a_turn(write, 3000), writes_until_a_turn(os.write, 1_000_000), file=sys.stderr, flush=True)
os._exit(0)
"""
"""How many writes of each kind it takes until another thread, which stands ready, has the interpreter."""


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_no_other_thread_gets_a_turn(tmp_path: Path, kind: str) -> None:
    with (tmp_path / "lines").open("wb") as file:
        stdout = file if kind == "file" else subprocess.PIPE
        ran = subprocess.run(
            [sys.executable, "-c", TURNS],
            cwd=ROOT,
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=60,
            check=True,
        )
    held, given_away = map(int, ran.stderr.split())
    assert held == 3000, "it was given away"
    assert given_away < 1_000_000, "nobody stood ready"


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
