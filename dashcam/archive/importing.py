"""Reading a file into a folder that serves it: `dashcam import`."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import IO

from dashcam.archive.contents import LOGS, MANIFEST, METRICS, TRACES, BadArchive, Contents, parse, read
from dashcam.stack.needs import PROMTOOL
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


def settings_of(folder: Path) -> LocalSettings:
    """The settings of the store in a folder that was imported to."""
    return LocalSettings(state_dir=folder, store_max_hours=YEAR_HOURS, store_max_mib=64 * 1024)


def blocks(folder: Path) -> Path:
    """Where the metrics of an imported folder are."""
    return folder / "prometheus"


def unpack(path: Path, folder: Path) -> Contents:
    """Read the file at `path` into `folder`, which must be empty. Raises BadArchive or MissingProgram."""
    contents = read(path)
    if folder.exists() and any(folder.iterdir()):
        raise BadArchive(f"{folder} is not empty: give a folder of its own for what is imported")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(path) as archive:
            _store(archive, folder)
            if contents.samples:
                _blocks(archive, folder)
            # It comes last: a folder that has it is whole.
            (folder / MANIFEST).write_bytes(archive.read(MANIFEST))
    except (OSError, KeyError, zipfile.BadZipFile, Malformed, Refused) as error:
        raise BadArchive(f"{path} cannot be read: {error}") from error
    return contents


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

    for line in file:
        if line.strip():
            waiting.append(_inner(line, key))
        if sum(map(len, waiting)) >= BATCH:
            store()
    if waiting:
        store()


def _inner(line: bytes, key: str) -> bytes:
    import orjson

    try:
        inner = orjson.loads(line)[key]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise Malformed(f"a line has no {key}: {error}") from error
    return b",".join(orjson.dumps(one) for one in inner)


def _joined(key: str, messages: list[bytes]) -> bytes:
    return b'{"%s":[%s]}' % (key.encode(), b",".join(messages))


def _blocks(archive: zipfile.ZipFile, folder: Path) -> None:
    """Make Prometheus' blocks of the samples, by Prometheus' own tool."""
    promtool = PROMTOOL.path()
    if promtool is None:
        raise MissingProgram(f"promtool is not installed: it reads the metrics. {PROMTOOL.elsewhere}")
    text = folder / METRICS
    with archive.open(METRICS) as packed, text.open("wb") as file:
        shutil.copyfileobj(packed, file)
    command = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(text), str(blocks(folder))]
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 - Prometheus' tool
    text.unlink()
    if done.returncode:
        raise BadArchive(f"promtool cannot read the metrics: {done.stderr.strip()[-300:]}")
