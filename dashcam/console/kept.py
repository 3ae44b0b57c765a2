"""Saved searches and pinned traces: files in a folder, few and whole.

A pin is a copy of the trace: it is shown when the store has long deleted it.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from dashcam.model.traces import Trace

MOST = 100
"""Searches, and pins, that are kept."""
MOST_BYTES = 5_000_000
"""Of one pinned trace."""
LONGEST_NAME, LONGEST_ADDRESS = 100, 4000
PAGES = ("/search", "/logs", "/logs/patterns", "/flame", "/contrast", "/monitor", "/explore", "/diagnose")
"""The pages whose addresses are searches."""

_TRACE_ID = re.compile(r"[0-9a-f]{32}")


class CannotKeep(ValueError):
    """Something cannot be kept; the message says what to do."""


@dataclass(frozen=True)
class Search:
    """An address of this console under a name; `at` is in microseconds since the epoch."""

    name: str
    address: str
    at: int


@dataclass(frozen=True)
class Pin:
    """A trace of which there is a copy."""

    trace_id: str
    title: str
    at: int


class Kept:
    """What is kept in `folder`, which is made with the first of it. Raises CannotKeep and OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._one_at_a_time = threading.Lock()

    def searches(self) -> list[Search]:
        """The saved searches, the newest first."""
        return _read(self._folder / "searches.json", Search)

    def pins(self) -> list[Pin]:
        """The pinned traces, the newest first."""
        return _read(self._folder / "pins.json", Pin)

    def save(self, search: Search) -> None:
        """Keep a search; one of the same name is replaced."""
        name, address = search.name.strip(), search.address
        try:
            parts = urlsplit(address)
        except ValueError:
            raise CannotKeep(f"{address[:100]!r} is no search of this console.") from None
        if not name or len(name) > LONGEST_NAME:
            raise CannotKeep(f"Give the search a name of at most {LONGEST_NAME} letters.")
        if parts.scheme or parts.netloc or parts.path not in PAGES or len(address) > LONGEST_ADDRESS:
            raise CannotKeep(f"{address[:100]!r} is no search of this console.")
        with self._one_at_a_time:
            others = [one for one in self.searches() if one.name != name]
            self._write("searches.json", _bounded([Search(name, address, search.at), *others], "search"))

    def forget(self, name: str) -> None:
        """Delete the search of this name, if there is one."""
        with self._one_at_a_time:
            self._write("searches.json", [one for one in self.searches() if one.name != name])

    def pin(self, pin: Pin, body: bytes) -> None:
        """Keep a trace, as Jaeger's JSON."""
        if len(body) > MOST_BYTES:
            raise CannotKeep(
                f"The trace has {len(body):,} bytes, and a pin {MOST_BYTES:,} at most: download it instead."
            )
        with self._one_at_a_time:
            others = [one for one in self.pins() if one.trace_id != pin.trace_id]
            pins = _bounded([pin, *others], "pin")
            self._replace(self._copy(pin.trace_id), body)
            self._write("pins.json", pins)

    def unpin(self, trace_id: str) -> None:
        """Delete a pin and its copy, if there is one."""
        with self._one_at_a_time:
            self._write("pins.json", [one for one in self.pins() if one.trace_id != trace_id])
        self._copy(trace_id).unlink(missing_ok=True)

    def copy(self, trace_id: str) -> bytes | None:
        """The copy of a pinned trace; None where there is none."""
        try:
            return self._copy(trace_id).read_bytes()
        except (OSError, CannotKeep):
            return None

    def trace(self, trace_id: str) -> Trace | None:
        """A pinned trace; None where there is none that can be read."""
        body = self.copy(trace_id)
        try:
            return Trace.from_jaeger(orjson.loads(body)["data"][0]) if body else None
        except (ValueError, LookupError, TypeError):
            return None

    def _copy(self, trace_id: str) -> Path:
        if not _TRACE_ID.fullmatch(trace_id):
            raise CannotKeep(f"{trace_id[:40]!r} is no trace id.")
        return self._folder / "pins" / f"{trace_id}.json"

    def _write(self, name: str, rows: list[Any]) -> None:
        body = orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2)
        self._replace(self._folder / name, body)

    def _replace(self, path: Path, body: bytes) -> None:
        """Write a file whole or not at all, for its owner alone."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            try:
                file.write(body)
                file.flush()
                os.replace(file.name, path)
            except OSError:
                os.unlink(file.name)
                raise


def _read(path: Path, kind: Callable[..., Any]) -> list[Any]:
    try:
        return [kind(**row) for row in orjson.loads(path.read_bytes())]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        raise CannotKeep(f"{path} cannot be read: mend it, or delete it ({error}).") from error


def _bounded(rows: list[Any], what: str) -> list[Any]:
    if len(rows) > MOST:
        raise CannotKeep(f"There are {MOST} of them already: delete a {what} first.")
    return rows
