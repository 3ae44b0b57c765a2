"""Lines to stdout that never hold up who writes them, each counted once.

A line goes out at once, in the thread that wrote it, so that a process that is killed has lost none of
what it said. Where stdout takes no more (its reader is slow, or stands still), lines wait in memory, in
order, up to a number of bytes, and a thread writes them as the reader goes on. A line beyond that is lost.

Written lines are counted in `log_records_total` by severity, lost ones in `log_records_lost_total` by
reason: `buffer_full`, `shutdown_timeout` (the process ended before the reader took them), or the class of
the error (`BrokenPipeError`, `OSError` for a full disk, ...).
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, TextIO

from observability import schema
from observability.logs.held_write import write
from observability.metrics.meters import Families

CAPACITY = 8 * 1024 * 1024
"""Bytes of lines that may wait, where nothing else is set."""

LOOK_AGAIN = 0.1
"""Seconds after which the thread looks whether it is still wanted, while the reader stands still."""


class LineWriter:
    """Writes to `stream`, by default what `sys.stdout` is at the time, past the stream's own buffer.

    `capacity` is the bytes of lines that may wait for a reader. Thread-safe; a forked child starts with
    nothing waiting, for the lines are its parent's.
    """

    def __init__(self, families: Families, stream: TextIO | None = None, capacity: int = CAPACITY) -> None:
        self._stream = stream
        self._capacity = capacity
        self._written = families.metric(schema.LOG_RECORDS)
        self._lost = families.metric(schema.LOG_RECORDS_LOST)
        self._children: dict[tuple[Any, str], Any] = {}
        self._open: _Opened | None = None
        self._reset()
        if hasattr(os, "register_at_fork"):
            itself = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: _reset_in_child(itself))

    def _reset(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may log while its thread is in here
        self._emptied = threading.Condition(self._lock)
        self._waiting: deque[tuple[bytes, str]] = deque()
        self._size = 0
        self._thread: threading.Thread | None = None

    def write(self, line: bytes, severity: str, taken: int = 0) -> None:
        """Write `line`, which ends in a line break, from byte `taken` on. Never blocks and never raises."""
        with self._lock:
            lost = self._write(line, severity, taken)
            if lost == "":
                self._series(self._written, severity).inc()
            elif lost is not None:
                self._series(self._lost, lost).inc()

    def count(self, severity: str) -> Any:
        """The counter of lines that are out, which is changed under the lock alone."""
        return self._series(self._written, severity)

    def _write(self, line: bytes, severity: str, taken: int) -> str | None:
        """Empty where the line is out, the reason where it is lost, None where it waits."""
        if self._waiting:
            return self._keep(line, severity)
        try:
            opened = self._opened()
            left = opened.go_on(line[taken:]) if taken else opened.put(line)
        except Exception as error:  # nothing about logging may end a request
            return type(error).__qualname__
        return self._keep(left, severity, begun=len(left) < len(line)) if left else ""

    def _series(self, family: Any, label: str) -> Any:
        """`family.labels(label)`, which takes longer than the rest of a line."""
        known = self._children.get((family, label))
        if known is None:
            known = self._children[family, label] = family.labels(label)
        return known

    def drain(self, timeout: float) -> bool:
        """Wait until nothing waits; False when that took longer than `timeout` seconds."""
        with self._lock:
            return self._emptied.wait_for(lambda: not self._waiting, timeout)

    def close(self, timeout: float = 0.0) -> int:
        """Give up what the reader has not taken within `timeout` seconds; answers how many lines."""
        self.drain(timeout)
        with self._lock:
            lost = len(self._waiting)
            self._waiting.clear()
            self._size = 0
            if self._open is not None:
                self._open.close()
                self._open = None
        if lost:
            self._lost.labels(error_type="shutdown_timeout").inc(lost)
        return lost

    # -- what waits -------------------------------------------------------------------------------

    def _keep(self, line: bytes, severity: str, begun: bool = False) -> str | None:
        """Let a line wait, or answer why it is lost. One that has begun to go out is never refused."""
        if self._size + len(line) > self._capacity and not begun:
            return "buffer_full"
        self._waiting.append((line, severity))
        self._size += len(line)
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="log-backlog", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads, or the interpreter is ending: the next line tries again
                return None
            self._thread = thread
        return None

    def _run(self) -> None:
        """Write what waits, as fast as it is taken; end when nothing waits any more."""
        counts: Counter[tuple[str, str]] = Counter()
        while True:
            with self._lock:
                ready = self._advance(counts)
                self._count(counts)
                if not self._waiting:
                    self._thread = None
                    self._emptied.notify_all()
                    return
            ready(LOOK_AGAIN)

    def _advance(self, counts: Counter[tuple[str, str]]) -> Callable[[float], None]:
        """Write until stdout takes no more; answers how to wait until it does."""
        opened = self._opened()
        began = time.monotonic()
        while self._waiting and time.monotonic() - began < opened.TURN:
            line, severity = self._waiting[0]
            try:
                left = opened.put(line)
            except Exception as error:
                left, outcome = b"", ("lost", type(error).__qualname__)
            else:
                outcome = ("written", severity)
            self._size -= len(line) - len(left)
            if left:
                self._waiting[0] = (left, severity)
                break
            self._waiting.popleft()
            counts[outcome] += 1
        return opened.wait

    def _count(self, counts: Counter[tuple[str, str]]) -> None:
        for (outcome, label), number in counts.items():
            self._series(self._written if outcome == "written" else self._lost, label).inc(number)
        counts.clear()

    def _opened(self) -> _Opened:
        stream = self._stream or sys.stdout
        if self._open is None or self._open.stream is not stream:
            if self._open is not None:
                self._open.close()
            self._open = _Opened(stream)
        return self._open


class _Opened:
    """A stream and the way to write to it without waiting. `put(data)` answers what it did not take."""

    TURN = 0.001
    """Seconds that lines which waited may keep out new ones."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.put: Callable[[bytes], bytes]
        self.go_on: Callable[[bytes], bytes]
        self._own: int | None = None
        self.torn = False
        self.whole = False  # whether `write(2)` takes what it can, without waiting
        self._poll: select.poll | None = None
        try:
            self.descriptor = stream.fileno()
            mode = os.fstat(self.descriptor).st_mode
        except (OSError, ValueError, AttributeError):
            self.put = self.go_on = self._put_text
            return
        if stat.S_ISREG(mode):
            self.put, self.go_on = self._put_file, self._put_rest
            self.whole = True
            return
        self._reopen(mode)
        self._poll = select.poll()
        self._poll.register(self.descriptor, select.POLLOUT)
        self.put = self.go_on = self._put_piece if self._own is None else self._put_pipe
        self.whole = self._own is not None

    def wait(self, seconds: float) -> None:
        """Until something can be written, and no longer than `seconds`."""
        if self._poll is not None:
            self._poll.poll(seconds * 1000)

    def close(self) -> None:
        if self._own is not None:
            os.close(self._own)
            self._own = None
            self.whole = False

    def _reopen(self, mode: int) -> None:
        """Open a pipe a second time, non-blocking: on stdout itself that would also bind its other owners."""
        if stat.S_ISFIFO(mode):
            with contextlib.suppress(OSError):  # no /proc, or a pipe of another user
                self._own = os.open(
                    f"/proc/self/fd/{self.descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
                )
                self.descriptor = self._own

    def _put_pipe(self, data: bytes) -> bytes:
        try:
            return data[write(self.descriptor, data) :]
        except BlockingIOError:
            return data

    def _put_piece(self, data: bytes) -> bytes:
        """To what can only be asked before: a piece of PIPE_BUF fits where the system says that it can."""
        assert self._poll is not None
        while data and self._poll.poll(0):
            data = data[os.write(self.descriptor, data[: select.PIPE_BUF]) :]
        return data

    def _put_file(self, data: bytes) -> bytes:
        """To a file: all, unless the disk is full. A line that was cut is ended before the next."""
        return self._put_all(b"\n" + data if self.torn else data)

    def _put_rest(self, data: bytes) -> bytes:
        self.torn = True
        return self._put_all(data)

    def _put_all(self, data: bytes) -> bytes:
        while data:
            written = write(self.descriptor, data)
            data = data[written:]
            self.torn = bool(data)
        return b""

    def _put_text(self, data: bytes) -> bytes:
        self.stream.write(data.decode())
        self.stream.flush()
        return b""


def _reset_in_child(reference: weakref.ref[LineWriter]) -> None:
    writer = reference()
    if writer is not None:
        writer._reset()
