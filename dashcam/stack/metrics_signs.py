"""Whether a program that listens may serve `/metrics`: what one can see without asking it.

A request that it does not know is a line in its log, a 404 in its metrics and an alarm for who watches those.
"""

from __future__ import annotations

import mmap
import os
import re
import shutil
from itertools import chain
from pathlib import Path

import psutil

from dashcam.stack.file_watch import source_files

_SCRIPTED = re.compile(r"(python|pypy|node|nodejs|bun|deno)[\d.]*")
_MENTIONED = re.compile(rb"""["'`/]metrics\b(?<!v1/metrics)|prometheus|prom-client""", re.IGNORECASE)
"""A route of that name, or a library that makes the page."""

_LOCKS = re.compile(r".*[-.]lock\.(json|yaml)|.*\.lock")
"""Files that name what may be there of others, not what the program uses."""

_PACKAGES = "lib*/python*/*-packages/prometheus_client"
_GO = b"\xff Go buildinf:"
_PAGE = b"# TYPE "
"""What a program that writes such a page has in it."""

_MOST_BYTES = 1_000_000
"""Of a source file."""


def may_serve(pid: int) -> bool:
    """Whether to ask the process: programs of Python, Node and Go show it, of others it cannot be seen."""
    try:
        process = psutil.Process(pid)
        program = Path(process.exe())
        if _SCRIPTED.fullmatch(program.name):
            return _scripted_may_serve(process)
        return compiled_may_serve(program)
    except (OSError, psutil.Error):
        return True  # of another user, or of a system that does not show it


def compiled_may_serve(program: Path) -> bool:
    """The same of the file of a program that is no script."""
    with program.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return text.find(_GO) < 0 or text.find(_PAGE) >= 0


def _scripted_may_serve(process: psutil.Process) -> bool:
    words, folder, environ = process.cmdline(), Path(process.cwd()), process.environ()
    if "prometheus" in environ.get("OTEL_METRICS_EXPORTER", ""):
        return True
    if environ.get("OTEL_EXPORTER_PROMETHEUS_PORT", "").isdigit():
        return True
    if any(_MENTIONED.search(word.encode(errors="replace")) for word in words):
        return True
    named = (os.path.join(folder, word) for word in words[1:])
    scripts = (path for path in named if os.path.isfile(path))
    program = folder / (shutil.which(words[0], path=environ.get("PATH")) or words[0])
    # The environment of a Python program: a framework may use the library for it.
    if any(program.parent.parent.glob(_PACKAGES)):
        return True
    return any(map(_mentions, chain(scripts, source_files(folder))))


def _mentions(path: str) -> bool:
    """Whether a source file does; one that locks packages names what nobody may use."""
    if _LOCKS.fullmatch(os.path.basename(path)):
        return False
    with open(path, "rb") as source:
        return _MENTIONED.search(source.read(_MOST_BYTES)) is not None
