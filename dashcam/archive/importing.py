"""Reading a file into a folder that serves it: `dashcam import`."""

from __future__ import annotations

import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import orjson

from dashcam.archive import promtool
from dashcam.export.contents import (
    LOGS,
    MANIFEST,
    METRICS,
    TRACES,
    UNREADABLE,
    BadArchive,
    Contents,
    manifest,
    parse,
    read,
)
from dashcam.stack.programs import MissingProgram
from dashcam.store.intake import Intake, Refused
from dashcam.store.otlp import Malformed
from dashcam.store.own_metrics import ReceiverMetrics
from dashcam.store.pushed_metrics import PushedMetrics
from dashcam.store.settings import LocalSettings
from dashcam.store.writer import Writer

YEAR_HOURS = 24.0 * 366
BATCH = 2_000_000
"""Bytes of lines that are stored at once."""
METRICS_BYTES = 2 * 2**30
"""What the metrics of a file may be unpacked, on the disk, until they are blocks."""
LINE_BYTES = 64 * 2**20
"""What one line may take: a few kilobytes can be packed of gigabytes."""


def settings_of(folder: Path) -> LocalSettings:
    """The settings of the store in a folder that was imported to."""
    return LocalSettings(state_dir=folder, store_max_hours=YEAR_HOURS, store_max_mib=64 * 1024)


def blocks(folder: Path) -> Path:
    """Where the metrics of an imported folder are."""
    return folder / "prometheus"


def unpack(path: Path, folder: Path) -> Contents:
    """Read the file at `path` into `folder`, which must be empty and is again if it fails.

    Raises BadArchive or MissingProgram.
    """
    contents = read(path)
    if contents.samples:
        promtool.program()
    with _made(folder):
        try:
            with zipfile.ZipFile(path) as archive:
                _store(archive, folder)
                if contents.samples:
                    _blocks(archive, folder)
                # It comes last: a folder that has it is whole.
                (folder / MANIFEST).write_bytes(manifest(archive))
        except MissingProgram:
            raise
        except (*UNREADABLE, Refused, sqlite3.Error) as error:
            raise BadArchive(f"{path} cannot be read into {folder}: {error}") from error
    return contents


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """An empty folder for the block; where it fails, all that was made is removed. Raises BadArchive."""
    try:
        absent = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        full = any(folder.iterdir())
    except OSError as error:
        raise BadArchive(f"{folder} cannot be made: {error.strerror or error}") from error
    if full:
        raise BadArchive(f"{folder} is not empty: give a folder of its own for what is imported")
    try:
        yield
    except BaseException:
        for one in [absent[-1]] if absent else list(folder.iterdir()):
            if one.is_dir():
                shutil.rmtree(one, ignore_errors=True)
            else:
                one.unlink(missing_ok=True)
        raise


def unpacked(folder: Path) -> Contents:
    """What a folder holds that was imported to. Raises BadArchive."""
    try:
        return parse((folder / MANIFEST).read_bytes(), folder)
    except OSError as error:
        raise BadArchive(f"{folder} is no folder that was imported to: {error}") from error


def _store(archive: zipfile.ZipFile, folder: Path) -> None:
    metrics = ReceiverMetrics()
    writer = Writer(settings_of(folder), metrics)
    writer.start()
    try:
        intake = Intake(writer, metrics, PushedMetrics(100, 1.0, (), False))
        for name, signal in ((TRACES, "traces"), (LOGS, "logs")):
            with archive.open(name) as file:
                _take(intake, signal, file)
    finally:
        writer.stop(60.0)


def _take(intake: Intake, signal: str, file: IO[bytes]) -> None:
    """Store every message, several of them at a time as one: a transaction for each line would take long."""
    key = "resourceSpans" if signal == "traces" else "resourceLogs"
    waiting: list[bytes] = []

    def store() -> None:
        body = _joined(key, waiting)
        intake.take(signal, "file", lambda: body, is_json=True)
        waiting.clear()

    while line := file.readline(LINE_BYTES + 1):
        if len(line) > LINE_BYTES:
            raise Malformed(f"a line has more than {LINE_BYTES} bytes")
        if line.strip() and (inner := _inner(line, key)):
            waiting.append(inner)
        if sum(map(len, waiting)) >= BATCH:
            store()
    if waiting:
        store()


def _inner(line: bytes, key: str) -> bytes:
    """What a line has in its list, without the brackets; nothing where that is empty."""
    try:
        inner = orjson.loads(line)[key] or ()
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise Malformed(f"a line has no {key}: {error}") from error
    if not isinstance(inner, list | tuple):
        raise Malformed(f"{key} is no list in a line")
    return b",".join(orjson.dumps(one) for one in inner)


def _joined(key: str, messages: list[bytes]) -> bytes:
    return b'{"%s":[%s]}' % (key.encode(), b",".join(messages))


def _blocks(archive: zipfile.ZipFile, folder: Path) -> None:
    """Make Prometheus' blocks of the samples, by Prometheus' own tool."""
    text = folder / METRICS
    unpacked = archive.getinfo(METRICS).file_size  # which zipfile reads no byte beyond
    if unpacked > METRICS_BYTES:
        most = f"at most {METRICS_BYTES // 2**20} MiB are taken: export a shorter time"
        raise BadArchive(f"the metrics are {unpacked // 2**20} MiB unpacked; {most}")
    with archive.open(METRICS) as packed, text.open("wb") as file:
        shutil.copyfileobj(packed, file)
    wrong = promtool.make_blocks(text, blocks(folder))
    text.unlink()
    if wrong:
        raise BadArchive(f"promtool does not take the metrics: {wrong}")
