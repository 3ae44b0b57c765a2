"""The log search of the embedded backend: `GET /api/logs` and `GET /api/logs/histogram`."""

from __future__ import annotations

from typing import Any

import orjson

from observability.sources.logs import LogBucket, LogLine, LogPage, LogQuery
from observability.sources.transport import JsonSource


class EmbeddedLogs(JsonSource):
    """A client of `/api/logs`. Every method raises SourceError when it cannot answer."""

    name = "Log search"

    def search(self, query: LogQuery) -> LogPage:
        """The newest lines that match."""
        body = self.ask("/api/logs", _params(query) | {"limit": query.limit})
        if not isinstance(body, dict) or not isinstance(body.get("logs"), list):
            raise self.unreadable("its answer to /api/logs has no list `logs`")
        lines = [LogLine(fields) for fields in body["logs"]]
        return LogPage(lines, int(body.get("total", len(lines))))

    def histogram(self, query: LogQuery, buckets: int) -> list[LogBucket]:
        """How many lines match in each of `buckets` equal parts of the query's time."""
        body = self.ask("/api/logs/histogram", _params(query) | {"buckets": buckets})
        try:
            return [
                LogBucket(int(row["start"]), int(row["width"]), dict(row["counts"]))
                for row in body["buckets"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise self.unreadable("its histogram has another shape") from error


def _params(query: LogQuery) -> dict[str, Any]:
    optional = {
        "service": query.service,
        "trace_id": query.trace_id,
        "span_id": query.span_id,
        "level": query.level,
        "q": query.text,
        "fields": orjson.dumps(dict(query.fields)).decode() if query.fields else "",
        "start": query.start,
        "end": query.end,
    }
    return {name: value for name, value in optional.items() if value not in ("", None)}
