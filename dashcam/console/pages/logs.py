"""`/logs`: search, a histogram over time, paging backwards and live follow."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Response, render_template, request

from dashcam.console import parameters
from dashcam.console.app import console
from dashcam.console.filters import colours
from dashcam.console.histogram import columns
from dashcam.console.weight import PAGE, fitting, lines_weight
from dashcam.model.logs import SEVERITIES, LogBucket
from dashcam.sources import LogPage, LogQuery

LIMIT = 100
COLUMNS = 50
ABOVE = 40_000
"""Bytes of the form and the histogram."""

LIVE_LINES = 200
"""The most lines that one poll of a live log brings."""


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/logs", view_func=logs)
    blueprint.add_url_rule("/logs/live", view_func=live)


@dataclass(frozen=True)
class Form:
    """The search form, with the names of `/api/logs`; `level` is the least severity."""

    service: str
    trace_id: str
    span_id: str
    level: str
    text: str
    fields: Mapping[str, str]
    window: parameters.Window
    limit: int

    @classmethod
    def read(cls, args: Mapping[str, str]) -> Form:
        trace = args.get("trace_id", "").strip()
        # A trace may be older than the hour that is looked at otherwise.
        default = "7d" if trace else "1h"
        return cls(
            service=args.get("service", "").strip(),
            trace_id=parameters.trace_id(trace) if trace else "",
            span_id=args.get("span_id", "").strip().lower(),
            level=parameters.choice(args, "level", ("", *SEVERITIES), ""),
            text=args.get("q", "").strip()[:500],
            fields=parameters.pairs(args, "fields"),
            window=parameters.window(args, default),
            limit=parameters.number(args, "limit", 50, 1, LIMIT),
        )

    def query(self, **changes: Any) -> LogQuery:
        wanted: dict[str, Any] = {
            "service": self.service,
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "level": self.level,
            "text": self.text,
            "fields": self.fields,
            "start": self.window.start,
            "end": self.window.end,
            "limit": self.limit,
        }
        return LogQuery(**(wanted | changes))

    def params(self, **changes: str | int) -> dict[str, str | int]:
        """The query string of this search, with `changes`."""
        every: dict[str, str | int] = {
            "service": self.service,
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "level": self.level,
            "q": self.text,
            "fields": self.fields_text,
            **self.window.params(),
            "limit": self.limit,
        }
        return {name: value for name, value in (every | changes).items() if value != ""}

    @property
    def fields_text(self) -> str:
        return parameters.logfmt(self.fields)


def logs() -> str:
    """The page."""
    form = Form.read(request.args)
    sources = console().sources
    asked = console().gatherer.ask(
        page=lambda: sources.logs.search(form.query(limit=form.limit + 1)),
        histogram=lambda: sources.logs.histogram(form.query(), COLUMNS),
        services=sources.traces.services,
    )
    page, older = _cut(asked["page"].or_else(LogPage((), 0)), form.limit)
    services = set(asked["services"].or_else([])) | {line.service for line in page.lines}
    buckets = asked["histogram"].or_else([])
    return render_template(
        "console/logs.html",
        form=form,
        page=page,
        length=fitting(lines_weight, page.lines, PAGE - ABOVE),
        error=asked["page"].error,
        histogram_error=asked["histogram"].error if not asked["page"].error else None,
        columns=columns(buckets),
        estimate=_estimate(page, buckets),
        lookbacks=parameters.LOOKBACKS,
        severities=SEVERITIES,
        services=sorted(services),
        colours=colours(services),
        older=older,
        fixed=form.window.fix(),
    )


def _estimate(page: LogPage, buckets: Sequence[LogBucket]) -> int | None:
    """About how many lines there are, where the search has not counted them all."""
    counted = sum(bucket.total for bucket in buckets)
    return counted if not page.exact and counted > page.total else None


def _cut(found: LogPage, limit: int) -> tuple[LogPage, int | None]:
    """The lines of this page, and the end of the time of the next one; None where there is none.

    A millisecond is not cut in two: the lines of the one that would be go to the next page together.
    """
    if len(found.lines) <= limit:
        return found, None
    next_moment = found.lines[limit].time // 1000
    kept = [line for line in found.lines[:limit] if line.time // 1000 > next_moment]
    if not kept:
        return replace(found, lines=found.lines[:limit]), next_moment * 1000 - 1
    return replace(found, lines=kept), next_moment * 1000 + 999


def live() -> Response:
    """The lines that came since `place`, newest first, each with a key, for the script that follows.

    The header X-Place has the next place, X-Left-Out how many more there are. A store that cannot say what
    is new gives some lines again: those have the keys that they had, and the script leaves them out.
    """
    form = Form.read(request.args)
    place = request.args.get("place", "")
    if not (place.isascii() and place.isdigit() and len(place) < 20):
        raise parameters.BadParameter("place", place, "give the one that the page or the last answer had.")
    sources = console().sources
    asked = console().gatherer.ask(
        page=lambda: sources.logs.since(form.query(end=None, limit=LIVE_LINES), place),
        services=sources.traces.services,
    )
    if asked["page"].error:
        raise asked["page"].error
    page: LogPage = asked["page"].value
    services = set(asked["services"].or_else([])) | {line.service for line in page.lines}
    keys = _keys(page) if sources.logs.repeats else [f"{page.place}-{n}" for n in range(len(page.lines))]
    lines = list(zip(keys, page.lines, strict=True))
    length = fitting(lines_weight, page.lines, PAGE)
    response = Response(
        render_template("console/live.html", lines=lines, colours=colours(services), length=length)
    )
    response.headers["X-Place"] = page.place
    if not sources.logs.repeats:
        response.headers["X-Left-Out"] = str(page.total - len(page.lines))
    return response


def _keys(page: LogPage) -> list[str]:
    """A key for each line; equal lines are numbered from the oldest."""
    seen: Counter[str] = Counter()
    keys = []
    for line in reversed(page.lines):
        digest = hashlib.blake2s(line.identity, digest_size=8).hexdigest()
        seen[digest] += 1
        keys.append(f"{digest}-{seen[digest]}")
    return keys[::-1]
