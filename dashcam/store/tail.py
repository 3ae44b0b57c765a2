"""Following the log files that the supervisor writes and rotates by renaming.

A file is known by device and inode, and by its first bytes, because an inode is used again once a
file is deleted. How far it has been read is stored in the transaction that stores its lines, so a
line is neither lost nor doubled by the death of this process. Files are kept open until they are
read to their end, so a rotation between two looks loses nothing either.

The supervisor rotates when a chunk of output has been written, which can be in the middle of a line:
what follows the last newline of a rotated file is the beginning of the next file's first line.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dashcam.store.line_joining import joined
from dashcam.store.log_lines import is_json, parse_line
from dashcam.store.records import LogRow, TailState

HEAD = 256
"""Bytes at the beginning of a file by which it is known again."""

MAX_LINE = 256 * 1024
"""A longer line is cut here; the rest up to its newline is dropped and the line says so."""

CHUNK = 1024 * 1024
"""Bytes read of a file at a time."""

CUT = b" [line cut after %d bytes]"

_NAME = re.compile(r"(?P<service>.+)\.log(?:\.(?P<number>\d+))?", re.DOTALL)


@dataclass
class Followed:
    """An open log file and how far it is read."""

    file: BinaryIO
    service: str
    age: int
    """0 for the file being written, 1 for the one rotated last, and so on."""
    key: tuple[int, int]
    head: bytes = b""
    position: int = 0
    skipping: bool = False
    alone: bool = False
    """Whether its name says nothing of the files that came before it."""

    @property
    def chain(self) -> str:
        """What names the file and those it was rotated to."""
        return f"{self.service}\0{self.key}" if self.alone else self.service

    @property
    def size(self) -> int:
        return os.fstat(self.file.fileno()).st_size

    @property
    def deleted(self) -> bool:
        """No folder names it any more."""
        return os.fstat(self.file.fileno()).st_nlink == 0

    @property
    def state(self) -> TailState:
        return TailState(*self.key, self.head, self.position, self.skipping)


@dataclass
class Piece:
    """Lines read of one service's files, and where reading stands once they are stored."""

    rows: list[LogRow]
    states: list[TailState]


class Tailer:
    """Reads new lines from a folder's `*.log` files. Not thread-safe; one thread polls it.

    `further` are files elsewhere, as (service, pattern); each of them is followed by itself.
    """

    def __init__(
        self,
        folder: Path,
        states: Iterable[tuple[int, int, bytes, int, int]],
        further: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._folder = folder
        self._further = further
        self._stored = {
            (device, inode): TailState(device, inode, head, position, bool(skipping))
            for device, inode, head, position, skipping in states
        }
        self._files: dict[tuple[int, int], Followed] = {}

    def close(self) -> None:
        """Close every file."""
        for followed in self._files.values():
            followed.file.close()
        self._files.clear()

    @property
    def lag(self) -> int:
        """Bytes written and not yet read."""
        return sum(max(0, followed.size - followed.position) for followed in self._files.values())

    def refresh(self) -> list[TailState]:
        """Look at the folder: open what is new, let go of what is gone.

        Answers the states to forget, of files that were deleted and read to their end. That a file is not
        listed does not make it deleted: while files are being renamed, a listing can miss one.
        """
        for path, service, age in self._listing():
            self._see(path, service, age)
        for service, pattern in self._further:
            for name in glob.glob(pattern, recursive=True):
                self._see(Path(name), service, 0, alone=True)
        gone = [
            followed
            for followed in self._files.values()
            if followed.deleted and followed.position >= followed.size
        ]
        for followed in gone:
            followed.file.close()
            del self._files[followed.key]
        return [followed.state._replace(position=-1) for followed in gone]

    def services(self) -> list[str]:
        """What :meth:`read` reads: a service with its rotated files, or a file that is followed by itself."""
        return sorted({followed.chain for followed in self._files.values()})

    def read(self, chain: str, now: int) -> Piece | None:
        """The next lines of one of :meth:`services`, oldest file first, or None. `now` is in microseconds.

        Reading goes on behind them only after advance(), so a failed transaction reads them again.
        """
        files = sorted(
            (f for f in self._files.values() if f.chain == chain), key=lambda f: (not f.deleted, -f.age)
        )
        carried: list[Followed] = []
        prefix = b""
        for followed in files:
            self._check(followed)
            data = self._data(followed)
            if carried and followed.position:
                # The next file has begun by itself.
                return self._finish(carried, prefix, now)
            piece = self._cut(followed, prefix, data, carried, now)
            if piece is not None:
                return piece
            if data and not followed.skipping:
                carried.append(followed)
                prefix += data
        return None

    def advance(self, piece: Piece) -> None:
        """The piece is stored."""
        for state in piece.states:
            followed = self._files.get((state.device, state.inode))
            if followed is not None:
                followed.position, followed.skipping = state.position, state.skipping

    def _listing(self) -> list[tuple[Path, str, int]]:
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        found = []
        for name in names:
            if match := _NAME.fullmatch(name):
                found.append((self._folder / name, match["service"], int(match["number"] or 0)))
        return found

    def _see(self, path: Path, service: str, age: int, *, alone: bool = False) -> None:
        try:
            status = os.stat(path)
            followed = self._files.get((status.st_dev, status.st_ino))
            if followed is None:
                file = open(path, "rb", buffering=0)  # noqa: SIM115 - kept open while it is followed
                status = os.fstat(file.fileno())
                followed = Followed(file, service, age, (status.st_dev, status.st_ino))
                if followed.key in self._files:  # renamed between the two looks
                    file.close()
                    followed = self._files[followed.key]
                else:
                    self._files[followed.key] = followed
                    self._resume(followed)
        except (FileNotFoundError, PermissionError, IsADirectoryError):
            return
        followed.service, followed.age, followed.alone = service, age, alone

    def _resume(self, followed: Followed) -> None:
        stored = self._stored.pop(followed.key, None)
        if stored is None:
            return
        if _pread(followed, len(stored.head), 0) == stored.head:
            followed.head, followed.position, followed.skipping = (
                stored.head,
                stored.position,
                stored.skipping,
            )

    def _check(self, followed: Followed) -> None:
        """Start again with a file that was truncated or written anew."""
        head = _pread(followed, HEAD, 0)
        if followed.size < followed.position or not head.startswith(followed.head):
            followed.position, followed.skipping = 0, False
            followed.head = b""
        if len(followed.head) < HEAD:
            followed.head = head

    def _data(self, followed: Followed) -> bytes:
        return _pread(followed, CHUNK, followed.position)

    def _cut(
        self, followed: Followed, prefix: bytes, data: bytes, carried: list[Followed], now: int
    ) -> Piece | None:
        """The complete lines in `prefix` + `data`, or None where no line ends in there."""
        position = followed.position
        states = [file.state._replace(position=file.size) for file in carried]
        if followed.skipping:
            end = data.find(b"\n")
            if not data:
                return None
            position += len(data) if end < 0 else end + 1
            return Piece([], [followed.state._replace(position=position, skipping=end < 0)])
        end = data.rfind(b"\n")
        if end >= 0:
            raw = _joined(prefix, data[:end]).split(b"\n")
            states.append(followed.state._replace(position=position + end + 1))
            return Piece([self._row(line, followed.service, now) for line in _records(raw)], states)
        if len(prefix) + len(data) > MAX_LINE:
            states.append(followed.state._replace(position=position + len(data), skipping=True))
            return Piece([self._row(prefix + data, followed.service, now)], states)
        return None

    def _finish(self, carried: list[Followed], prefix: bytes, now: int) -> Piece:
        """A last line of rotated files that no file goes on with."""
        states = [file.state._replace(position=file.size) for file in carried]
        return Piece([self._row(prefix, carried[-1].service, now)], states)

    def _row(self, raw: bytes, service: str, now: int) -> LogRow:
        raw = raw.rstrip(b"\r")
        if len(raw) > MAX_LINE:
            raw = raw[:MAX_LINE] + CUT % MAX_LINE
        return parse_line(raw, service, now)


def _records(lines: list[bytes]) -> Iterable[bytes]:
    """What was read at once, with the lines of a stack trace as one."""
    if all(line[:1] == b"{" for line in lines):
        return lines
    return (record for record in joined(line.rstrip(b"\r") for line in lines) if record.strip())


def _joined(prefix: bytes, data: bytes) -> bytes:
    """The end of one file and the beginning of the next: one line, unless the latter is one by itself.

    A program that was killed leaves a line it never ends, and the next file begins with a new one.
    """
    first, _, _ = data.partition(b"\n")
    if prefix and first[:1] == b"{" and is_json(first):
        return prefix + b"\n" + data
    return prefix + data


def _pread(followed: Followed, length: int, position: int) -> bytes:
    return os.pread(followed.file.fileno(), length, position)
