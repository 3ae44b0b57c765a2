"""The file: a zip of OTLP JSON lines and OpenMetrics, and what is in it.

`traces.jsonl` and `logs.jsonl` hold one OTLP JSON message a line, as the Collector's file exporter writes
and its `otlpjsonfile` receiver reads them; `metrics.txt` is OpenMetrics with a time for each sample, which
`promtool tsdb create-blocks-from openmetrics` reads. `manifest.json` says what it is, and of when.
"""

from __future__ import annotations

import dataclasses
import zipfile
from dataclasses import dataclass
from pathlib import Path

import orjson

TRACES, LOGS, METRICS, MANIFEST = "traces.jsonl", "logs.jsonl", "metrics.txt", "manifest.json"
FORMAT, VERSION = "dashcam-export", 1


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
            return parse(archive.read(MANIFEST), path)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise BadArchive(f"{path} is no export of Dashcam's: {error}") from error


def parse(manifest: bytes, path: Path) -> Contents:
    """The manifest in `manifest`, of the file or folder at `path`. Raises BadArchive."""
    try:
        fields = orjson.loads(manifest)
        if fields.pop("format") != FORMAT or fields.pop("version") != VERSION:
            raise BadArchive(f"{path} is of a version that is not known here; {VERSION} is")
        known = {one.name for one in dataclasses.fields(Contents)}
        found = {name: value for name, value in fields.items() if name in known}
        return Contents(**{**found, "services": tuple(found["services"]), "cut": tuple(found["cut"])})
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise BadArchive(f"{path} is no export of Dashcam's: {error!r}") from error
