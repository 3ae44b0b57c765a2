"""The tailer neither loses nor doubles a line, whatever happens to the files or to itself."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from polling import until

from dashcam.store.followed import HEAD
from dashcam.store.tail import CHUNK, MAX_LINE, Tailer


class Follower:
    """A tailer whose positions are kept as the database would keep them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.states: dict[tuple[int, int], tuple] = {}
        self.lines: list[dict] = []
        self.tailer = Tailer(folder, ())

    def close(self) -> None:
        self.tailer.close()

    def restart(self) -> None:
        self.close()
        self.tailer = Tailer(self.folder, self.states.values())

    def poll(self) -> list[str]:
        """Read all there is; the messages that are new."""
        before = len(self.lines)
        self._keep(self.tailer.refresh())
        for service in self.tailer.services():
            while piece := self.tailer.read(service, 1_000_000):
                self.lines += [json.loads(row.line) for row in piece.rows]
                self._keep(piece.states)
                self.tailer.advance(piece)
        return [line["message"] for line in self.lines[before:]]

    def _keep(self, states) -> None:
        for state in states:
            if state.position < 0:
                self.states.pop(state[:2], None)
            else:
                self.states[state[:2]] = tuple(state)


@pytest.fixture
def follower(tmp_path):
    made = Follower(tmp_path)
    yield made
    made.close()


def write(path: Path, *messages: str, end: str = "\n") -> None:
    with path.open("a") as file:
        file.write("\n".join(json.dumps({"message": message}) for message in messages) + end)


def rotate(path: Path, backups: int = 5) -> None:
    """What supervisord does: x.log.1 -> x.log.2, …, x.log -> x.log.1."""
    for i in range(backups - 1, 0, -1):
        if (old := path.with_name(f"{path.name}.{i}")).exists():
            old.rename(path.with_name(f"{path.name}.{i + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))


def test_each_line_is_read_once(follower, tmp_path):
    log = tmp_path / "car.log"
    write(log, "a", "b")
    assert follower.poll() == ["a", "b"]
    assert follower.poll() == []
    write(log, "c")
    assert follower.poll() == ["c"]


def test_a_line_is_read_when_it_is_complete(follower, tmp_path):
    log = tmp_path / "car.log"
    write(log, "a", end="")
    assert follower.poll() == []
    write(log, "b")
    assert follower.lines == []
    assert follower.poll() == ['{"message": "a"}{"message": "b"}']


def test_a_restart_goes_on_where_it_was(follower, tmp_path):
    log = tmp_path / "car.log"
    write(log, "a")
    follower.poll()
    write(log, "b")
    follower.restart()
    assert follower.poll() == ["b"]


def test_rotation_between_two_looks_loses_nothing(follower, tmp_path):
    log = tmp_path / "car.log"
    write(log, "a")
    follower.poll()
    for i in range(3):
        write(log, f"before {i}")
        rotate(log)
    write(log, "after")
    assert follower.poll() == ["before 0", "before 1", "before 2", "after"]
    assert follower.poll() == []


def test_rotation_while_nobody_looks_loses_nothing(follower, tmp_path):
    log = tmp_path / "car.log"
    write(log, "a")
    follower.poll()
    write(log, "b")
    rotate(log)
    write(log, "c")
    follower.restart()
    assert follower.poll() == ["b", "c"]


def test_a_file_that_is_deleted_after_rotation_is_still_read_to_its_end(follower, tmp_path):
    log = tmp_path / "car.log"
    write(log, "a")
    follower.poll()
    write(log, "b")
    rotate(log)
    (tmp_path / "car.log.1").unlink()
    write(log, "c")
    assert follower.poll() == ["b", "c"]
    follower.poll()
    assert len(follower.states) == 1


def test_a_line_that_rotation_cut_in_two_is_one_line(follower, tmp_path):
    log = tmp_path / "car.log"
    log.write_text('{"message": "a"}\n{"message": "cut i')
    assert follower.poll() == ["a"]
    rotate(log)
    log.write_text("")
    assert follower.poll() == []
    log.write_text('n two"}\n{"message": "c"}\n')
    assert follower.poll() == ["cut in two", "c"]
    follower.restart()
    assert follower.poll() == []


def test_a_line_that_was_never_ended_does_not_swallow_the_next(follower, tmp_path):
    log = tmp_path / "car.log"
    log.write_text('{"message": "half')
    follower.poll()
    rotate(log)
    write(log, "whole")
    assert follower.poll() == ['{"message": "half', "whole"]


def test_truncation_starts_again(follower, tmp_path):
    log = tmp_path / "car.log"
    write(log, "a long first line", "b")
    follower.poll()
    log.write_text("")
    follower.poll()
    write(log, "c")
    assert follower.poll() == ["c"]


def test_a_file_that_was_written_anew_is_read_from_its_start(follower, tmp_path):
    log = tmp_path / "car.log"
    write(log, "a")
    follower.poll()
    log.write_text(json.dumps({"message": "x" * 500}) + "\n")
    assert follower.poll() == ["x" * 500]


def test_an_inode_used_again_is_another_file(follower, tmp_path):
    log = tmp_path / "car.log"
    write(log, "a")
    follower.poll()
    (key,) = follower.states
    device, inode, _, position, skipping = follower.states[key]
    follower.states[key] = (device, inode, b"another beginning", position, skipping)
    follower.restart()
    assert follower.poll() == ["a"]


def test_lines_that_are_not_json_are_messages_of_the_files_service(follower, tmp_path):
    (tmp_path / "car.log").write_bytes(b'plain text\n\n   \n[1]\n{"broken": \nbad \xff utf-8\n{"a":NaN}\r\n')
    assert follower.poll() == ["plain text", "[1]", '{"broken": ', "bad � utf-8", '{"a":NaN}']
    assert {line["service"] for line in follower.lines} == {"car"}
    assert all(line["timestamp"] == "1970-01-01T00:00:01.000000Z" for line in follower.lines)


def test_every_field_of_a_json_line_is_kept(follower, tmp_path):
    line = {
        "timestamp": "2026-11-22T15:06:40Z",
        "message": "m",
        "service": "other",
        "x.y": {"deep": [1, None]},
    }
    (tmp_path / "car.log").write_text(json.dumps(line) + "\n")
    follower.poll()
    assert follower.lines == [line]


def test_a_timestamp_that_is_none_is_kept_beside_the_time_of_reading(follower, tmp_path):
    (tmp_path / "car.log").write_text('{"timestamp": "soon", "message": "m"}\n')
    follower.poll()
    assert follower.lines[0]["timestamp.original"] == "soon"
    assert follower.lines[0]["timestamp"] == "1970-01-01T00:00:01.000000Z"


@pytest.mark.parametrize("length", [MAX_LINE, MAX_LINE + 1, CHUNK + 5, 3 * CHUNK])
def test_a_very_long_line_is_cut_and_what_follows_is_read(follower, tmp_path, length):
    (tmp_path / "car.log").write_bytes(b"x" * length + b"\nnext\n")
    first, *rest = follower.poll()
    assert rest == ["next"]
    assert len(first) < MAX_LINE + 100
    assert ("line cut" in first) == (length > MAX_LINE)


def test_a_very_long_line_is_skipped_across_a_restart(follower, tmp_path):
    log = tmp_path / "car.log"
    log.write_bytes(b"x" * (CHUNK + 5))
    assert len(follower.poll()) == 1
    follower.restart()
    with log.open("ab") as file:
        file.write(b"still the same line\nnext\n")
    assert follower.poll() == ["next"]


def test_a_batch_that_was_not_stored_is_read_again(follower, tmp_path):
    write(tmp_path / "car.log", "a")
    follower.tailer.refresh()
    assert follower.tailer.read("car", 0) is not None
    assert follower.poll() == ["a"]


def test_a_short_file_is_known_again_after_it_grew(follower, tmp_path):
    log = tmp_path / "car.log"
    log.write_text("a\n")
    follower.poll()
    log.write_text("a\n" + "b" * 2 * HEAD + "\n")
    follower.restart()
    assert follower.poll() == ["b" * 2 * HEAD]


def test_other_files_and_a_missing_folder_are_left_alone(tmp_path):
    follower = Follower(tmp_path / "logs")
    assert follower.poll() == []
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "notes.txt").write_text("no\n")
    (tmp_path / "logs" / "car.log.gz").write_text("no\n")
    (tmp_path / "logs" / "dir.log").mkdir()
    assert follower.poll() == []


def test_any_mixture_of_writing_rotation_and_restarts_gives_each_line_once_in_order(follower, tmp_path):
    dice = random.Random(7)
    log = tmp_path / "car.log"
    written: list[str] = []
    pending = b""
    for step in range(600):
        for _ in range(dice.randrange(4)):
            message = f"{len(written)} {dice.randbytes(dice.randrange(150)).hex()}"
            written.append(message)
            pending += json.dumps({"message": message}).encode() + b"\n"
        size = dice.randrange(len(pending) + 1)
        with log.open("ab") as file:
            file.write(pending[:size])
        pending = pending[size:]
        if dice.random() < 0.2:
            rotate(log, backups=60)
        if dice.random() < 0.1:
            follower.restart()
        if step % 3 == 0:
            follower.poll()
    with log.open("ab") as file:
        file.write(pending)
    follower.poll()
    assert [line["message"] for line in follower.lines] == written


def test_a_file_that_a_listing_misses_while_it_is_renamed_is_not_read_again(follower, tmp_path, monkeypatch):
    log = tmp_path / "car.log"
    write(log, "a")
    rotate(log)
    write(log, "b")
    assert follower.poll() == ["a", "b"]

    names = [name for name in os.listdir(tmp_path) if name != "car.log.1"]
    with monkeypatch.context() as renaming:
        renaming.setattr(os, "listdir", lambda _: names)
        assert follower.poll() == []

    assert follower.poll() == []
    follower.restart()
    assert follower.poll() == []


def test_kill_9_loses_no_line_and_doubles_none(tmp_path):
    """The receiver is killed again and again while lines are written and files rotate."""
    logs = tmp_path / "logs"
    logs.mkdir()
    log = logs / "car.log"
    environment = dict(
        os.environ,
        DASHCAM_STATE_DIR=str(tmp_path),
        OTLP_GRPC_PORT="0",
        OTLP_HTTP_PORT="0",
        DASHCAM_TAIL_SECONDS="0.01",
    )
    command = [sys.executable, "-m", "dashcam.store.receiver"]
    written = 0
    for _ in range(4):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        process.stdout.readline()  # it listens
        for _ in range(20):
            write(log, *(str(written + i) for i in range(50)))
            written += 50
            if written % 400 == 0:
                rotate(log, backups=100)
            time.sleep(0.005)  # not waiting for anything: it gives the tailer a share of the processor
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert stored_messages(tmp_path, written) == [str(i) for i in range(written)]


def stored_messages(folder: Path, expected: int) -> list[str]:
    """Run a receiver until it has stored what is written; every stored message by its seq."""
    from dashcam.store.log_match import LogQuery
    from dashcam.store.log_query import search
    from dashcam.store.reader import Reader
    from dashcam.store.receiver import Receiver
    from dashcam.store.settings import LocalSettings

    settings = LocalSettings(state_dir=folder, otlp_grpc_port=0, otlp_http_port=0, tail_seconds=0.01)
    receiver = Receiver(settings)
    receiver.start()
    reader = Reader(settings.database)

    def stored() -> list[tuple[int, int, str]]:
        with reader.snapshot() as db:
            found = search(db, LogQuery(limit=100_000))
        assert found.total >= expected, f"{found.total} lines are stored"
        return found.lines

    try:
        lines = until(stored, f"all {expected} lines", within=30, every=0.02)
        return [json.loads(line)["message"] for _, _, line in sorted(lines, key=lambda line: line[1])]
    finally:
        receiver.stop()
        reader.close()


def test_files_elsewhere_are_followed_by_pattern_each_by_itself(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"one\nan unfinished")
    made = Follower(tmp_path / "own")
    made.tailer = Tailer(tmp_path / "own", (), [("shop", str(folder / "*.txt"))])
    assert made.poll() == ["one"]
    (folder / "b.txt").write_bytes(b"two\n")
    assert made.poll() == ["two"]
    assert {line["service"] for line in made.lines} == {"shop"}
    with (folder / "a.txt").open("ab") as file:
        file.write(b" line\n")
    assert made.poll() == ["an unfinished line"]
    made.close()
