"""The log search of the embedded backend: `GET /api/logs` and `GET /api/logs/histogram`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from dashcam.model.logs import LogBucket, LogLine, LogPage, LogQuery
from dashcam.sources.transport import JsonSource


class EmbeddedLogs(JsonSource):
    """A client of `/api/logs`. Every method raises SourceError when it cannot answer."""

    name = "Log search"
    repeats = False

    def search(self, query: LogQuery) -> LogPage:
        """The newest lines that match."""
        return self.page(query, {})[0]

    def page(self, query: LogQuery, extra: dict[str, Any]) -> tuple[LogPage, dict[str, Any]]:
        """The lines, and the whole answer with `next` (a cursor) and `latest` (a place in the store)."""
        body = self.ask("/api/logs", _params(query) | {"limit": query.limit} | extra)
        if not isinstance(body, dict) or not isinstance(body.get("logs"), list):
            raise self.unreadable("its answer to /api/logs has no list `logs`")
        total = body.get("total", len(body["logs"]))
        if not isinstance(total, int) or not all(isinstance(fields, dict) for fields in body["logs"]):
            raise self.unreadable("its answer to /api/logs holds what is no line")
        lines = [LogLine(fields) for fields in body["logs"]]
        latest = body.get("latest")
        place = str(latest) if isinstance(latest, int) else ""
        return LogPage(lines, total, body.get("total_relation") != "gte", place), body

    def since(self, query: LogQuery, place: str) -> LogPage:
        """The lines stored since: their numbers are later than `place`."""
        after = int(place)
        page = self.page(replace(query, start=None, end=None), {"after": after})[0]
        if page.place and int(page.place) < after:
            # The store was made anew and numbers from one again: all that it has is new.
            return self.search(replace(query, start=None, end=None))
        return page

    def histogram(self, query: LogQuery, buckets: int) -> list[LogBucket]:
        """How many lines match in each of `buckets` equal parts of the query's time."""
        body = self.ask("/api/logs/histogram", _params(query) | {"buckets": buckets})
        try:
            width = int(body["width"])
            exact = body.get("total_relation", "eq") == "eq"
            rows = body["buckets"]
            return [LogBucket(int(row["start"]), width, dict(row["counts"]), exact) for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise self.unreadable("its histogram has another shape") from error

    def follow(self, query: LogQuery) -> EmbeddedFollower:
        """A follower that misses no line, however late it comes."""
        return EmbeddedFollower(self, query)


class EmbeddedFollower:
    """Gives each line once, however late it comes: the store numbers its lines as it takes them in."""

    PAGE = 1000

    def __init__(self, logs: EmbeddedLogs, query: LogQuery) -> None:
        self._logs = logs
        self._first: LogQuery | None = replace(query, end=None)
        self._query = replace(query, limit=self.PAGE, end=None)
        self._after = self._newest = 0
        self._ahead: Counter[bytes] = Counter()

    def poll(self) -> list[LogLine]:
        """The newest lines, `query.limit` at most; from the second call on, all stored since the last."""
        if self._first is not None:
            page, body = self._logs.page(self._first, {})
            self._first, self._after = None, int(body["latest"])
            self._newest = max((line.time for line in page.lines), default=0)
            return list(reversed(page.lines))
        extra = {"after": self._after}
        page, body = self._logs.page(self._query, extra)
        if int(body["latest"]) < self._after:
            # The store was made anew and numbers from one again: what is later than all given so far is new.
            extra, self._query = {}, replace(self._query, start=self._newest + 1)
            page, body = self._logs.page(self._query, extra)
        lines, latest = list(page.lines), int(body["latest"])
        ahead: Counter[bytes] = Counter()
        while cursor := body.get("next"):
            page, body = self._logs.page(self._query, extra | {"cursor": cursor})
            lines += page.lines
            if int(body["latest"]) > latest:
                # Lines stored between two pages may be on the later one, and come again with the next poll.
                ahead.update(line.identity for line in page.lines)
        fresh = []
        for line in lines:
            if self._ahead[line.identity] > 0:
                self._ahead[line.identity] -= 1
            else:
                fresh.append(line)
        self._after, self._ahead = latest, ahead
        self._newest = max([self._newest, *(line.time for line in fresh)])
        return sorted(fresh, key=lambda line: line.time)


def _params(query: LogQuery) -> dict[str, Any]:
    fields = dict(query.fields) | ({"span_id": query.span_id} if query.span_id else {})
    optional = {
        "service": query.service,
        "trace_id": query.trace_id,
        "level": query.level,
        "q": query.text,
        "field": [f"{name}:{value}" for name, value in fields.items()],
        "start": query.start,
        "end": query.end,
    }
    return {name: value for name, value in optional.items() if value not in ("", None, [])}
