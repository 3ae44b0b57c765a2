"""The log search over Elasticsearch: `_search` with a bool query, newest first.

Fluent Bit may have written a field's dots as underscores, and an index without a template maps text with a
`.keyword` beside it; a field is therefore looked for under each of these spellings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from dashcam.model.logs import SEVERITIES, LogBucket, LogLine, LogPage, LogQuery
from dashcam.sources.overlap import OVERLAP, OverlapFollower
from dashcam.sources.transport import JsonSource, Transport

TEXT_FIELDS = ("message", "exception.message", "exception.type", "exception.stacktrace")
MOST_LINES = 10_000
"""`index.max_result_window` of a default index: more in one answer is an error there."""


class ElasticsearchLogs(JsonSource):
    """A client of Elasticsearch's search. Every method raises SourceError when it cannot answer."""

    name = "Log search"
    repeats = True

    def __init__(self, transport: Transport, address: str, index: str, time_field: str = "timestamp") -> None:
        super().__init__(transport, address)
        self._time_field = time_field
        self._path = f"/{quote(index, safe='*,-_.')}/_search"

    def search(self, query: LogQuery) -> LogPage:
        """The newest lines that match."""
        body = {
            "size": min(query.limit, MOST_LINES),
            "track_total_hits": True,
            "query": self._bool(query),
            "sort": [{self._time_field: {"order": "desc", "unmapped_type": "date"}}],
        }
        answer = self.ask(self._path, {"ignore_unavailable": "true"}, json=body)
        try:
            lines = [LogLine(self._line(hit["_source"])) for hit in answer["hits"]["hits"]]
            total = int(answer["hits"]["total"]["value"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self.unreadable("its search answer has another shape") from error
        newest = max((line.time for line in lines), default=query.start or 0)
        return LogPage(lines, total, place=str(newest))

    def since(self, query: LogQuery, place: str) -> LogPage:
        """The newest lines from a minute before the newest one known: lines come in any order."""
        page = self.search(replace(query, start=max(0, int(place) - OVERLAP), end=None))
        return replace(page, place=str(max(int(place), int(page.place))))

    def histogram(self, query: LogQuery, buckets: int) -> list[LogBucket]:
        """How many lines match in each of `buckets` equal parts of the query's time."""
        if query.start is None or query.end is None:
            raise ValueError("a histogram needs a start and an end")
        width = max(1, -(-(query.end - query.start) // (buckets * 1000))) * 1000
        ranges = [
            {"from": (query.start + n * width) // 1000, "to": (query.start + (n + 1) * width) // 1000}
            for n in range(buckets)
        ]
        filters = {name: _either("severity", name) for name in SEVERITIES}
        aggregation = {
            "date_range": {"field": self._time_field, "format": "epoch_millis", "ranges": ranges},
            "aggs": {"severity": {"filters": {"filters": filters}}},
        }
        body = {"size": 0, "query": self._bool(query), "aggs": {"time": aggregation}}
        answer = self.ask(self._path, {"ignore_unavailable": "true"}, json=body)
        try:
            return [
                LogBucket(int(row["from"]) * 1000, width, _counts(row["severity"]["buckets"]))
                for row in answer["aggregations"]["time"]["buckets"]
            ]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self.unreadable("its histogram has another shape") from error

    def follow(self, query: LogQuery) -> OverlapFollower:
        """A follower; a line that comes more than a minute late is missed."""
        return OverlapFollower(self, query)

    def _bool(self, query: LogQuery) -> dict[str, Any]:
        """The query in Elasticsearch's language; every part is a filter, so nothing is scored."""
        exact = {"service": query.service, "trace_id": query.trace_id, "span_id": query.span_id}
        wanted = {name: value for name, value in exact.items() if value} | dict(query.fields)
        filters = [_either(name, value) for name, value in wanted.items()]
        if query.level:
            severe = SEVERITIES[SEVERITIES.index(query.level) :]
            filters.append(_any([_either("severity", name) for name in severe]))
        if query.text:
            spelled = [
                name for field in TEXT_FIELDS for name in dict.fromkeys((field, field.replace(".", "_")))
            ]
            filters.append(
                {"multi_match": {"query": query.text, "type": "phrase", "fields": spelled, "lenient": True}}
            )
        if query.start is not None or query.end is not None:
            filters.append({"range": {self._time_field: _range(query)}})
        return {"bool": {"filter": filters}}

    def _line(self, source: Mapping[str, Any]) -> dict[str, Any]:
        """The document as the flat line that the service wrote, with the time it is sorted by."""
        fields = dict(_flat("", source))
        received = fields.pop("@timestamp", "")
        if self._time_field == "@timestamp" or "timestamp" not in fields:
            fields["timestamp"] = received
        return fields


def _counts(buckets: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(row["doc_count"]) for name, row in buckets.items() if row["doc_count"]}


def _range(query: LogQuery) -> dict[str, Any]:
    bounds: dict[str, Any] = {"format": "epoch_millis"}
    if query.start is not None:
        bounds["gte"] = query.start // 1000
    if query.end is not None:
        # The whole of the last millisecond, also where the index keeps nanoseconds.
        bounds["lt"] = query.end // 1000 + 1
    return bounds


def _either(name: str, value: str) -> dict[str, Any]:
    """A field that has this value under any of the spellings an index may have for it."""
    spellings = dict.fromkeys((name, name.replace(".", "_")))
    return _any([{"term": {f"{spelled}{end}": value}} for spelled in spellings for end in ("", ".keyword")])


def _any(clauses: list[dict[str, Any]]) -> dict[str, Any]:
    return {"bool": {"should": clauses, "minimum_should_match": 1}}


def _flat(prefix: str, value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, inner in value.items():
        if isinstance(inner, dict):
            found += _flat(f"{prefix}{name}.", inner)
        else:
            found.append((prefix + name, inner))
    return found
