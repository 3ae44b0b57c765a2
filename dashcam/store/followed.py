"""A log file that is open, and how far it has been read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

from dashcam.store.records import TailState

HEAD = 256
"""Bytes at the beginning of a file by which it is known again."""


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
    copied: Followed | None = None
    """The file that this one is a copy of, which is read in its stead until it is truncated."""
    past: TailState | None = None
    """Where it stood when it was truncated last."""
    mark: bytes = b""
    past_mark: bytes = b""
    """The bytes before its position, and before that of `past`; empty where they are not known."""

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


def pread(followed: Followed, length: int, position: int) -> bytes:
    """Bytes of a file at a place."""
    return os.pread(followed.file.fileno(), length, position)
