"""What a program of one's own writes: passed through at once, and kept as log lines of its service."""

from __future__ import annotations

import fcntl
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import orjson

from dashcam.store.line_joining import Joiner
from dashcam.store.log_lines import parse_line, rfc3339

KEEP = 3
LIMIT = 10_000_000
"""A file is rotated at LIMIT bytes and KEEP older ones remain, as for the parts of the stack."""

IDLE_SECONDS = 0.2
"""A record whose next line has not come for so long is complete."""

MAX_LINE = 256 * 1024
"""What has no end by then is a line."""

_COLOURS = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class LogFile:
    """The file of one program's lines, which the receiver tails. Several of one name have one each."""

    def __init__(self, folder: Path, name: str, limit: int = LIMIT) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._limit = limit
        number = 1
        while True:
            self._path = folder / (f"{name}.log" if number == 1 else f"{name}~{number}.log")
            # Beside it, since rotating renames the file itself. Held by the kernel for as long as this lives.
            self._lock = (folder / f".{self._path.name}.lock").open("w")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                self._lock.close()
                number += 1
        self._file = self._path.open("ab", buffering=0)

    def write(self, line: bytes) -> None:
        """Append one line, in one write."""
        if self._file.tell() + len(line) > self._limit and self._file.tell():
            self._rotate()
        self._file.write(line + b"\n")

    def close(self) -> None:
        self._file.close()
        self._lock.close()

    def _rotate(self) -> None:
        self._file.close()
        for age in range(KEEP, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{age}")
            newer = self._path.with_name(f"{self._path.name}.{age - 1}") if age > 1 else self._path
            if newer.exists():
                newer.replace(older)
        self._file = self._path.open("ab", buffering=0)


class Stream:
    """One of a program's two outputs, cut into records of one line or of a whole stack trace."""

    def __init__(self, keep: Callable[[bytes], None], show: IO[bytes] | None) -> None:
        self._keep = keep
        self._show = show
        self._rest = b""
        self._joiner = Joiner()
        self._last = 0.0

    def take(self, data: bytes) -> None:
        """Show what came and keep the records that it completes."""
        if self._show:
            self._show.write(data)
            self._show.flush()
        self._last = time.monotonic()
        *lines, self._rest = (self._rest + _COLOURS.sub(b"", data)).split(b"\n")
        if len(self._rest) > MAX_LINE:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._record(self._joiner.feed(line.rstrip(b"\r")[:MAX_LINE]))

    def settle(self) -> None:
        """Keep a record that nothing has been added to for a while."""
        if time.monotonic() - self._last > IDLE_SECONDS:
            self._record(self._joiner.flush())

    def end(self) -> None:
        """Keep all that there is."""
        if self._rest:
            self._record(self._joiner.feed(self._rest))
            self._rest = b""
        self._record(self._joiner.flush())

    def _record(self, record: bytes | None) -> None:
        if record and record.strip():
            self._keep(record)


class Output:
    """Both outputs of a program called `name`."""

    def __init__(self, folder: Path, name: str, show: Mapping[str, IO[bytes] | None]) -> None:
        self._name = name
        self._file = LogFile(folder, name)
        self.streams = {stream: Stream(self._keep, out) for stream, out in show.items()}

    def say(self, message: str, severity: str, fields: Mapping[str, Any]) -> None:
        """Keep a line about the program, which it did not write itself."""
        head = {"timestamp": rfc3339(time.time_ns() // 1000), "severity": severity, "message": message}
        self._file.write(orjson.dumps({**head, "service": self._name, **fields}))

    def close(self) -> None:
        for stream in self.streams.values():
            stream.end()
        self._file.close()

    def _keep(self, record: bytes) -> None:
        row = parse_line(record, self._name, time.time_ns() // 1000)
        line = row.line
        if row.service != self._name:  # what the program calls itself in its lines is not what it runs as
            fields = orjson.loads(line)
            line = orjson.dumps({**fields, "service": self._name, "service.original": row.service})
        self._file.write(line)
