"""What lies in a folder of logs beside logs stops nothing, and copytruncate doubles and loses no line."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from polling import until
from receiving import Receiving
from unit.store.test_backend_tail import Follower


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    made = Follower(tmp_path)
    yield made
    made.close()


def lines(first: int, last: int) -> str:
    return "".join(f'{{"message": "{i}", "padding": "{i:0100d}"}}\n' for i in range(first, last))


def messages(first: int, last: int) -> list[str]:
    return [str(i) for i in range(first, last)]


def test_what_is_no_file_stops_nothing(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    os.mkfifo(logs / "a.log")
    (logs / "b.log").symlink_to(logs / "b.log")
    (logs / "c.log").symlink_to(logs / "nothing")
    (logs / "d.log").mkdir()
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(str(logs / "e.log"))
        running = Receiving(tmp_path)
        try:
            (logs / "z.log").write_text(lines(0, 5))
            until(lambda: running.stored("log_block") == 5, "the lines of the one that is a file")
            assert running.http.get("/readyz").status_code == 200
        finally:
            running.close()


def test_a_file_that_cannot_be_read_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Receiving(tmp_path)
    tailer = running.receiver._tail._tailer
    read = tailer.read

    def failing(chain: str, now: int) -> object:
        if chain == "bad":
            raise OSError(5, "Input/output error")
        return read(chain, now)

    monkeypatch.setattr(tailer, "read", failing)
    try:
        (tmp_path / "logs").mkdir(exist_ok=True)
        for name in ("bad", "good"):
            (tmp_path / "logs" / f"{name}.log").write_text(lines(0, 5))
        until(lambda: running.stored("log_block") == 5, "the lines of the good file")
    finally:
        running.close()


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("unread", [0, 3])
@pytest.mark.parametrize("seen_between", [False, True])
def test_copytruncate_neither_doubles_nor_loses(
    follower: Follower, restart: bool, unread: int, seen_between: bool
) -> None:
    log, copy = follower.folder / "car.log", follower.folder / "car.log.1"
    log.write_text(lines(0, 10))
    assert follower.poll() == messages(0, 10)
    with log.open("a") as file:
        file.write(lines(10, 10 + unread))
    shutil.copy(log, copy)
    read = []
    if seen_between:
        if restart:
            follower.restart()
        read += follower.poll()
    os.truncate(log, 0)
    with log.open("a") as file:
        file.write(lines(20, 25))
    if restart:
        follower.restart()
    read += follower.poll()
    assert read == messages(10, 10 + unread) + messages(20, 25)
    follower.restart()
    assert follower.poll() == []


def test_a_copy_that_is_seen_half_made_is_read_once(follower: Follower) -> None:
    log, copy = follower.folder / "car.log", follower.folder / "car.log.1"
    log.write_text(lines(0, 10))
    follower.poll()
    copy.write_bytes(log.read_bytes()[:700])
    assert follower.poll() == []
    copy.write_bytes(log.read_bytes())
    assert follower.poll() == []
    os.truncate(log, 0)
    assert follower.poll() == []
    with log.open("a") as file:
        file.write(lines(10, 12))
    assert follower.poll() == messages(10, 12)


def test_copies_made_again_and_again(follower: Follower) -> None:
    log = follower.folder / "car.log"
    read = []
    for turn in range(5):
        with log.open("a") as file:
            file.write(lines(10 * turn, 10 * turn + 7))
        read += follower.poll()
        with log.open("a") as file:
            file.write(lines(10 * turn + 7, 10 * turn + 10))
        for number in (3, 2, 1):
            if (old := follower.folder / f"car.log.{number}").exists():
                old.rename(follower.folder / f"car.log.{number + 1}")
        shutil.copy(log, follower.folder / "car.log.1")
        os.truncate(log, 0)
    read += follower.poll()
    assert read == messages(0, 50)
