"""Following the log files that the supervisor writes and rotates by renaming.

A file is known by device and inode, and by its first bytes, because an inode is used again once a
file is deleted. How far it has been read is stored in the transaction that stores its lines, so a
line is neither lost nor doubled by the death of this process. Files are kept open until they are
read to their end, so a rotation between two looks loses nothing either.

What rotates by copying and truncating (`copytruncate`) doubles nothing: a copy is known by its beginning.
What is no regular file is not opened, and a file that cannot be read does not keep the others from being so.

The supervisor rotates when a chunk of output has been written, which can be in the middle of a line:
what follows the last newline of a rotated file is the beginning of the next file's first line.
"""

from __future__ import annotations

import glob
import logging
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dashcam.store.followed import HEAD, Followed, pread
from dashcam.store.line_joining import joined
from dashcam.store.log_lines import is_json, parse_line
from dashcam.store.records import LogRow, TailState

log = logging.getLogger(__name__)

MAX_LINE = 256 * 1024
"""A longer line is cut here; the rest up to its newline is dropped and the line says so."""

_TELLING = 32
"""Bytes of a beginning by which a copy is known."""

CHUNK = 1024 * 1024
"""Bytes read of a file at a time."""

CUT = b" [line cut after %d bytes]"

_NAME = re.compile(r"(?P<service>.+)\.log(?:\.(?P<number>\d+))?", re.DOTALL)


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
        self._settled: list[TailState] = []
        self._refused: set[str] = set()

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

        Answers states to store: of copies whose original was truncated, and, to be forgotten, of files that
        were deleted and read to their end. That a file is not listed does not make it deleted: while files
        are being renamed, a listing can miss one.
        """
        known = set(self._files)
        for path, service, age in self._listing():
            self._see(path, service, age)
        for service, pattern in self._further:
            for name in glob.glob(pattern, recursive=True):
                self._see(Path(name), service, 0, alone=True)
        self._recognise([followed for key, followed in self._files.items() if key not in known])
        gone = [
            followed
            for followed in self._files.values()
            if followed.deleted and followed.position >= followed.size
        ]
        for followed in gone:
            followed.file.close()
            self._release(followed)
            del self._files[followed.key]
        settled, self._settled = self._settled, []
        return [*settled, *[followed.state._replace(position=-1) for followed in gone]]

    def services(self) -> list[str]:
        """What :meth:`read` reads: a service with its rotated files, or a file that is followed by itself."""
        return sorted({followed.chain for followed in self._files.values()})

    def read(self, chain: str, now: int) -> Piece | None:
        """The next lines of one of :meth:`services`, oldest file first, or None. `now` is in microseconds.

        Reading goes on behind them only after advance(), so a failed transaction reads them again.
        """
        every = [followed for followed in self._files.values() if followed.chain == chain]
        for followed in every:
            self._check(followed)
        piece = self._next(
            sorted((f for f in every if not f.copied), key=lambda f: (not f.deleted, -f.age)), now
        )
        if piece and self._settled:
            piece.states[:0], self._settled = self._settled, []
        return piece

    def _next(self, files: list[Followed], now: int) -> Piece | None:
        carried: list[Followed] = []
        prefix = b""
        for followed in files:
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
                followed.mark = _before(followed, followed.position)

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
                if not stat.S_ISREG(status.st_mode):
                    self._refuse(path, "it is no file")
                    return
                # A FIFO that took its place since would be waited for.
                file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)  # noqa: SIM115 - kept open while it is followed
                status = os.fstat(file.fileno())
                followed = Followed(file, service, age, (status.st_dev, status.st_ino))
                if followed.key in self._files:  # renamed between the two looks
                    file.close()
                    followed = self._files[followed.key]
                else:
                    self._files[followed.key] = followed
                    self._resume(followed)
        except FileNotFoundError:
            return
        except OSError as error:  # a loop of links, a file of somebody else: not the others' affair
            self._refuse(path, str(error.strerror))
            return
        followed.service, followed.age, followed.alone = service, age, alone

    def _refuse(self, path: Path, why: str) -> None:
        if str(path) not in self._refused:
            self._refused.add(str(path))
            log.warning("%s is not followed: %s", path, why)

    def _recognise(self, new: Sequence[Followed]) -> None:
        """Find the copies among files that are new: `copytruncate` copies a log and empties the original.

        A copy begins as the original does or did, and has the number of a rotated file in its name.
        """
        for followed in new:
            if not followed.age or followed.position:
                continue
            head = pread(followed, HEAD, 0)
            for other in [one for one in self._files.values() if one.service == followed.service]:
                if other.age:  # copied is what is being written, or was until now
                    continue
                self._check(other)
                if _begins_as(other.state, head) and _same(other, followed):
                    followed.copied = other
                elif other.past and _begins_as(other.past, head) and _goes_on_from(followed, other):
                    self._settle(followed, other.past)

    def _settle(self, copy: Followed, original: TailState) -> None:
        """Go on in a copy where its original was read to."""
        copy.copied, copy.head = None, pread(copy, HEAD, 0)
        copy.position, copy.skipping = min(original.position, copy.size), original.skipping
        self._settled.append(copy.state)

    def _release(self, original: Followed) -> None:
        for copy in [one for one in self._files.values() if one.copied is original]:
            self._settle(copy, original.state)

    def _resume(self, followed: Followed) -> None:
        stored = self._stored.pop(followed.key, None)
        if stored is None:
            return
        if pread(followed, len(stored.head), 0) == stored.head:
            followed.head, followed.position, followed.skipping = (
                stored.head,
                stored.position,
                stored.skipping,
            )
        elif stored.head:
            followed.past = stored

    def _check(self, followed: Followed) -> None:
        """Start again with a file that was truncated or written anew."""
        head = pread(followed, HEAD, 0)
        if followed.size < followed.position or not head.startswith(followed.head):
            followed.past, followed.past_mark = followed.state, followed.mark
            self._release(followed)
            followed.position, followed.skipping = 0, False
            followed.head = b""
        if len(followed.head) < HEAD:
            followed.head = head

    def _data(self, followed: Followed) -> bytes:
        return pread(followed, CHUNK, followed.position)

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


def _begins_as(read: TailState, head: bytes) -> bool:
    """Whether another file has the beginning of one that was read: short ones tell nothing."""
    known = read.head[: read.position]
    return len(known) >= _TELLING and head.startswith(known)


def _same(original: Followed, copy: Followed) -> bool:
    """Whether two files are alike where they were read to, or where a copy that is being made ends."""
    end = min(original.position, copy.size)
    return _before(original, end) == _before(copy, end)


def _goes_on_from(copy: Followed, truncated: Followed) -> bool:
    """Whether a file is the one that another was before it was truncated, as far as is remembered of it."""
    end = truncated.past.position if truncated.past else 0
    return copy.size >= end and truncated.past_mark in (b"", _before(copy, end))


def _before(followed: Followed, end: int) -> bytes:
    first = max(0, end - _TELLING)
    return pread(followed, end - first, first)
