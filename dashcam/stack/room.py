"""Whether there is room on a disk for what a stack writes."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

LEAST = 64 * 2**20
"""Bytes that a start asks for: its files take a tenth of it, and the first minutes' telemetry some more."""

PROBE = 2**20
"""Bytes that are written to see whether they can be: a quota shows in no figure of the disk."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def lacking(folder: Path) -> str | None:
    """None where `folder` takes what a start writes, else what is full and what to do."""
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if found.f_blocks and free < LEAST:  # some disks of other machines have no size at all
        return _told(folder, f"has {free / 2**20:.0f} MiB left of the {LEAST / 2**20:.0f} that a start needs")
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            written = file.write(bytes(PROBE))
    except OSError as error:
        if error.errno not in FULL:
            raise
        return _told(folder, f"takes no more: {error.strerror}")
    return None if written == PROBE else _told(folder, f"took {written} of {PROBE} bytes")


def _told(folder: Path, what: str) -> str:
    remedy = "free some of it, or set DASHCAM_STATE_DIR to a folder on another one"
    return f"the disk of {folder}, mounted at {_mount(folder)}, {what}: {remedy}"


def _mount(folder: Path) -> Path:
    folder = folder.resolve()
    return next(path for path in (folder, *folder.parents) if path.is_mount())
