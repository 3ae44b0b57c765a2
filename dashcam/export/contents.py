"""The file: a zip of OTLP JSON lines and OpenMetrics, and what is in it.

`traces.jsonl` and `logs.jsonl` hold one OTLP JSON message a line, as the Collector's file exporter writes
and its `otlpjsonfile` receiver reads them; `metrics.txt` is OpenMetrics with a time for each sample, which
`promtool tsdb create-blocks-from openmetrics` reads. `manifest.json` says what it is, and of when.
"""

from __future__ import annotations

import dataclasses
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

TRACES, LOGS, METRICS, MANIFEST = "traces.jsonl", "logs.jsonl", "metrics.txt", "manifest.json"
FORMAT, VERSION = "dashcam-export", 1
MANIFEST_BYTES = 1_000_000
LATEST = 253_402_300_800.0
"""The end of the year 9999: no time is later."""
UNREADABLE = (
    OSError,
    KeyError,  # a part is not there
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # packed in a way that Python does not know
    RuntimeError,  # encrypted
    ValueError,
)
"""What zipfile raises for a damaged or odd file."""


class BadArchive(ValueError):
    """The file is no export, or of a version that is not known. The message names it."""


@dataclass(frozen=True)
class Contents:
    """What a file holds. Times are Unix seconds; `interval` is seconds between two samples of a series.

    `cut` says what of the time is missing, because a source would not give all of it.
    """

    start: float
    end: float
    services: tuple[str, ...]
    spans: int
    lines: int
    samples: int
    interval: float
    cut: tuple[str, ...] = ()
    made_by: str = ""

    def __str__(self) -> str:
        return f"{self.spans} spans, {self.lines} log lines and {self.samples} samples of metrics"


def as_json(contents: Contents) -> bytes:
    """The manifest."""
    fields = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(contents)}
    return orjson.dumps(fields, option=orjson.OPT_INDENT_2)


def read(path: Path) -> Contents:
    """What the file at `path` says of itself. Raises BadArchive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return parse(manifest(archive), path)
    except BadArchive:
        raise
    except UNREADABLE as error:
        raise BadArchive(f"{path} is no export of Dashcam's: {error}") from error


def manifest(archive: zipfile.ZipFile) -> bytes:
    """The manifest in a file. Raises ValueError where it is too long, and what zipfile does."""
    with archive.open(MANIFEST) as file:
        text = file.read(MANIFEST_BYTES + 1)
    if len(text) > MANIFEST_BYTES:
        raise ValueError(f"its manifest has more than {MANIFEST_BYTES // 10**6} MB")
    return text


def parse(text: bytes, path: Path) -> Contents:
    """The manifest in `text`, of the file or folder at `path`. Raises BadArchive."""
    try:
        fields = orjson.loads(text)
        if fields.pop("format") != FORMAT or fields.pop("version") != VERSION:
            raise BadArchive(f"{path} is of a version that is not known here; {VERSION} is")
        known = {one.name for one in dataclasses.fields(Contents)}
        found = {name: value for name, value in fields.items() if name in known}
        if odd := _odd(found):
            raise BadArchive(f"{path} is no export of Dashcam's: its manifest has no usable {odd}")
        return Contents(**{**found, "services": tuple(found["services"]), "cut": tuple(found["cut"])})
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise BadArchive(f"{path} is no export of Dashcam's: {error!r}") from error


def _odd(fields: Mapping[str, Any]) -> str:
    """The first field whose value is none that it can have, or nothing."""
    for name in ("spans", "lines", "samples"):
        if type(fields[name]) is not int or fields[name] < 0:
            return name
    for name in ("start", "end", "interval"):
        if type(fields[name]) not in (int, float) or not 0 <= fields[name] < LATEST:
            return name
    for name in ("services", "cut"):
        if not isinstance(fields[name], list) or not all(isinstance(one, str) for one in fields[name]):
            return name
    if not isinstance(fields.get("made_by", ""), str):
        return "made_by"
    return "interval" if fields["interval"] == 0 else "end" if fields["end"] < fields["start"] else ""
