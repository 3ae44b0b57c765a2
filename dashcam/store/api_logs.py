"""`GET /api/logs` and `GET /api/logs/histogram`.

Parameters of both: `service` (repeated: any of them), `trace_id`, `level` (minimum severity), `q`
(terms; see below), `field=name:value` (repeated: all of them), `start` and `end` in
microseconds since the epoch, both included. The list also takes `limit` (100, at most 5000), `order`
(`desc`, newest first, or `asc`), `cursor` (the `next` of the page before) and `after` (the `latest`
of an earlier answer: only lines stored since).

The list answers `logs`, `total`, `total_relation` (`eq` or `gte`), `next` and `latest`;
`total` counts every match, not only the page's, and is a lower bound where the relation is `gte`.
`q` is made of terms separated by spaces, `"…"` makes one term of several words; a line matches where
every term is in the text of its values, as a part of it and in any case.

The histogram answers counts by severity of `buckets` (60) equal spans of time; the last hour where no
time is given. Where many blocks can hold a match of a text or a field, it is estimated from a sample of them
and `total_relation` is `about`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import orjson
from flask import Blueprint, Response, request

from dashcam.store import log_histogram, log_query, params
from dashcam.store.log_lines import LEVELS, level_name
from dashcam.store.log_match import LogQuery, split_terms
from dashcam.store.params import BadParameter
from dashcam.store.reader import Reader

MAX_LIMIT = 5000
MAX_BUCKETS = 1000
_DEFAULT_SPAN = 60 * 60 * 1_000_000


class LogsApi:
    """The routes, reading through `reader`."""

    def __init__(self, reader: Reader, clock: Callable[[], float] = time.time) -> None:
        self._reader = reader
        self._clock = clock

    def blueprint(self) -> Blueprint:
        """The routes under `/api/logs`."""
        api = Blueprint("logs", __name__, url_prefix="/api/logs")
        api.add_url_rule("", view_func=self.logs)
        api.add_url_rule("/services", view_func=self.services)
        api.add_url_rule("/histogram", view_func=self.histogram)
        api.register_error_handler(BadParameter, _bad_parameter)
        return api

    def logs(self) -> Response:
        query = logs_query()
        with self._reader.snapshot() as db:
            found = log_query.search(db, query)
        cursor = f"{found.next[0]}-{found.next[1]}" if found.next else None
        rest = {
            "total": found.total,
            "total_relation": "eq" if found.exact else "gte",
            "next": cursor,
            "latest": found.latest,
        }
        # The lines are JSON already.
        body = '{"logs":[' + ",".join([line for _, _, line in found.lines]) + "],"
        return Response(body.encode() + orjson.dumps(rest)[1:], content_type="application/json")

    def services(self) -> Response:
        with self._reader.snapshot() as db:
            names = log_query.services(db)
        return Response(orjson.dumps({"services": names}), content_type="application/json")

    def histogram(self) -> Response:
        query, edges = histogram_query(int(self._clock() * 1_000_000))
        with self._reader.snapshot() as db:
            counts, exact = log_histogram.histogram(db, query, edges)
        body = {
            "start": edges[0],
            "end": edges[-1],
            "width": edges[1] - edges[0],
            "total_relation": "eq" if exact else "about",
            "buckets": [
                {"start": start, "counts": _by_name(count)}
                for start, count in zip(edges, counts, strict=False)
            ],
        }
        return Response(orjson.dumps(body), content_type="application/json")


def _bad_parameter(error: BadParameter) -> Response:
    body = {"logs": None, "total": 0, "errors": [{"code": 400, "msg": str(error)}]}
    return Response(orjson.dumps(body), 400, content_type="application/json")


def logs_query() -> LogQuery:
    """The query in the request's parameters. Raises BadParameter."""
    arguments = request.args
    limit = params.integer("limit", arguments["limit"], 32) if arguments.get("limit") else 100
    if not 0 < limit <= MAX_LIMIT:
        raise BadParameter(f"limit={limit} cannot be used: give 1 to {MAX_LIMIT}")
    order = arguments.get("order") or "desc"
    if order not in ("asc", "desc"):
        raise BadParameter(f"order={order!r} cannot be used: give asc or desc")
    cursor = arguments.get("cursor", "")
    if cursor and order == "asc":
        raise BadParameter("cursor goes with order=desc; page forward with start or after")
    start = params.integer("start", text) if (text := arguments.get("start", "")) else -(2**63)
    end = params.integer("end", text) if (text := arguments.get("end", "")) else 2**63 - 1
    return LogQuery(
        services=frozenset(name for name in arguments.getlist("service") if name),
        trace=params.trace_id(text) if (text := arguments.get("trace_id", "")) else b"",
        level=_level(arguments.get("level", "")),
        terms=split_terms(arguments.get("q", "")),
        fields=tuple(_field(text) for text in arguments.getlist("field")),
        start=start,
        end=end,
        after=params.integer("after", text) if (text := arguments.get("after", "")) else 0,
        before=_cursor(cursor) if cursor else None,
        limit=limit,
        newest_first=order == "desc",
    )


def histogram_query(now: int) -> tuple[LogQuery, list[int]]:
    """The query and the edges of its buckets; the last hour where no time is given."""
    text = request.args.get("buckets") or "60"
    buckets = params.integer("buckets", text, 32)
    if not 0 < buckets <= MAX_BUCKETS:
        raise BadParameter(f"buckets={buckets} cannot be used: give 1 to {MAX_BUCKETS}")
    query = logs_query()
    end = query.end if request.args.get("end") else now
    start = query.start if request.args.get("start") else end - _DEFAULT_SPAN
    if start >= end:
        raise BadParameter(f"start={start} must be before end={end}")
    width = -(-(end - start + 1) // buckets)
    edges = [start + i * width for i in range(buckets + 1)]
    bounded = LogQuery(**{**query.__dict__, "start": start, "end": end})
    return bounded, edges


def _by_name(counts: dict[int, int]) -> dict[str, int]:
    named: dict[str, int] = {}
    for level, n in sorted(counts.items()):
        name = level_name(level) or "UNKNOWN"
        named[name] = named.get(name, 0) + n
    return named


def _level(text: str) -> int:
    if not text:
        return 0
    level = LEVELS.get(text.upper())
    if level is None:
        raise BadParameter(f"level={text!r} cannot be used: give DEBUG, INFO, WARN, ERROR or FATAL")
    return level


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name:
        raise BadParameter(f"field={text!r} cannot be used: give name:value")
    return name, value


def _cursor(text: str) -> tuple[int, int]:
    moment, dash, seq = text.rpartition("-")
    if not dash:
        raise BadParameter(f"cursor={text!r} cannot be used: give the 'next' of the page before")
    return params.integer("cursor", moment), params.integer("cursor", seq)
