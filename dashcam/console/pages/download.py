"""`/download`: what a page shows, as one file that `dashcam open` serves with its pages anywhere."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request, send_file, url_for
from werkzeug.exceptions import NotFound

from dashcam.console import parameters
from dashcam.console.app import console
from dashcam.console.guarded_form import foreign, message, page
from dashcam.console.pages import logs, search
from dashcam.export.exporting import export
from dashcam.export.selection import Bound, Selection
from dashcam.sources import LogQuery

COOKIE = "dashcam_download"
OF = ("time", "search", "trace", "logs")
LONGEST = 6 * 3600.0
"""Seconds of a file's time; `dashcam export` takes more."""
BOUND = Bound(bytes=100_000_000, seconds=20.0)
"""A part that takes more is cut, which the file says of itself."""
AROUND = 60_000_000
"""Microseconds around a trace, whose metrics come along."""
TRACES = 100
"""Traces of a page that come with all of their spans and lines."""


@dataclass(frozen=True)
class _Wanted:
    """What a file is of, in words, in microseconds and for the writer."""

    what: str
    start: int
    end: int
    only: Selection


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/download", view_func=download)
    blueprint.add_url_rule("/download", view_func=write_download, methods=["POST"])


def download() -> Response:
    """The page that says what will be in the file and how it is opened, with the form that makes it."""
    wanted = _wanted()
    asked: dict[str, Any] = {**request.args.to_dict(), **_fixed(wanted)}
    return page(
        "console/download.html",
        COOKIE,
        url_for("console.download"),
        wanted=wanted,
        bound=BOUND,
        name=_name(wanted),
        # Not as arguments of url_for, some of which mean something else to it.
        here=f"{url_for('console.write_download')}?{urlencode(asked)}",
    )


def write_download() -> tuple[Response, int] | Response:
    """The file. One is written at a time."""
    if why := foreign(COOKIE):
        return message("Not done", why, 403)
    wanted = _wanted()
    if not console().writing.acquire(blocking=False):
        return message("Not done", "Another file is being written: try again when it is there.", 429)
    try:
        with tempfile.TemporaryDirectory(prefix="dashcam-download-") as folder:
            path = Path(folder) / "export.zip"
            start, end = wanted.start / 1e6, wanted.end / 1e6
            export(console().sources, path, start, end, only=wanted.only, bound=BOUND)
            size, file = path.stat().st_size, path.open("rb")  # it is there until it is sent
    except OSError as error:
        return message("Not done", f"It cannot be written: {error}", 500)
    finally:
        console().writing.release()
    response = send_file(file, "application/zip", as_attachment=True, download_name=_name(wanted))
    response.content_length = size
    return response


def _wanted() -> _Wanted:
    of = parameters.choice(request.args, "of", OF, "time")
    if of == "trace":
        return _of_trace(parameters.trace_id(request.args.get("trace", "")))
    window = parameters.window(request.args, "15m" if of == "time" else "1h")
    if window.seconds > LONGEST:
        raise parameters.BadParameter(
            "lookback", window.lookback, "give 6h at most here; `dashcam export --since` takes more."
        )
    if of == "search":
        form = search.Form.read(request.args)
        found = [one.trace_id for one in search.matching(form)[:TRACES]]
        what = f"the {len(found)} newest traces of the search, with their log lines"
        return _Wanted(what, window.start, window.end, Selection(found, _lines_of(found)))
    if of == "logs":
        query = logs.Form.read(request.args).query(limit=logs.LIMIT)
        lines = console().sources.logs.search(query).lines
        found = list(dict.fromkeys(line.trace_id for line in lines if line.trace_id))[:TRACES]
        what = f"the log lines of the search, with the traces of the newest {len(lines)}"
        return _Wanted(what, window.start, window.end, Selection(found, [query]))
    return _Wanted("all traces and log lines of the time", window.start, window.end, Selection())


def _of_trace(trace_id: str) -> _Wanted:
    found = console().sources.traces.trace(trace_id)  # of which the file is written, and not of a pin's copy
    if found is None or not found.spans:
        raise NotFound(
            f"Trace {trace_id} is not in the store. One that is pinned has a copy as JSON on its page."
        )
    only = Selection([trace_id], _lines_of([trace_id]))
    # A span of a clock that was never set is of 1970: the metrics since would be all that there are.
    start = max(found.start - AROUND, found.end - int(LONGEST * 1e6))
    return _Wanted("the trace with its log lines", start, found.end + AROUND, only)


def _lines_of(trace_ids: Sequence[str]) -> list[LogQuery]:
    return [LogQuery(trace_id=one) for one in trace_ids]


def _fixed(wanted: _Wanted) -> dict[str, str | int]:
    """The same time again, however long the page was looked at."""
    return parameters.Window(wanted.start, wanted.end, "custom").fix()


def _name(wanted: _Wanted) -> str:
    return f"dashcam-{datetime.fromtimestamp(wanted.end / 1e6, UTC):%Y%m%d-%H%M%S}.zip"
