"""Jaeger's query API: services, operations, search, one trace, dependencies.

The legacy JSON (`/api/*`) is what Jaeger's own UI and Grafana use and what the embedded backend answers too;
`/api/v3` is asked only for OTLP JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

import orjson

from dashcam.model.summaries import TraceSummary
from dashcam.model.traces import Trace, microseconds
from dashcam.sources.errors import SourceRefused, SourceUnreadable
from dashcam.sources.transport import JsonSource

T = TypeVar("T")


@dataclass(frozen=True)
class TraceQuery:
    """A search. Times in microseconds since the epoch, durations as Go writes them (`1.5s`, `200ms`)."""

    service: str
    start: int
    end: int
    operation: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    min_duration: str = ""
    max_duration: str = ""
    limit: int = 20

    def params(self) -> dict[str, str | int]:
        """As the query of `GET /api/traces`."""
        optional = {
            "operation": self.operation,
            "tags": orjson.dumps(dict(self.tags)).decode() if self.tags else "",
            "minDuration": self.min_duration,
            "maxDuration": self.max_duration,
        }
        required: dict[str, str | int] = {
            "service": self.service,
            "start": self.start,
            "end": self.end,
            "limit": self.limit,
        }
        return required | {name: value for name, value in optional.items() if value}

    def v3_params(self) -> dict[str, str | int]:
        """As the query of `GET /api/v3/trace-summaries`."""
        optional = {
            "query.operationName": self.operation,
            "query.attributes": orjson.dumps(dict(self.tags)).decode() if self.tags else "",
            "query.durationMin": self.min_duration,
            "query.durationMax": self.max_duration,
        }
        required: dict[str, str | int] = {
            "query.serviceName": self.service,
            "query.startTimeMin": _rfc3339(self.start),
            # The end of this microsecond, as the whole of it counts in `GET /api/traces`.
            "query.startTimeMax": _rfc3339(self.end, "999"),
            "query.searchDepth": self.limit,
        }
        return required | {name: value for name, value in optional.items() if value}


class Incomplete(list[T]):
    """What was found, of which the store says that it lacks some of what was asked for."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """How often `parent` called `child` in the time asked for."""

    parent: str
    child: str
    calls: int


class Jaeger(JsonSource):
    """A client of Jaeger's query API. Every method raises SourceError when it cannot answer."""

    name = "Jaeger"

    def services(self) -> list[str]:
        """Names of the services that have spans, sorted."""
        return sorted(str(name) for name in self._data("/api/services"))

    def operations(self, service: str) -> list[str]:
        """Names of the operations of a service, sorted."""
        return sorted(str(name) for name in self._data(f"/api/services/{quote(service, safe='')}/operations"))

    def search(self, query: TraceQuery) -> list[Trace]:
        """The traces that match, newest first, at most `query.limit`; Incomplete where the store says so."""
        body = self._body("/api/traces", query.params())
        traces = [self._trace(data) for data in body.get("data") or ()]
        traces.sort(key=lambda trace: trace.start, reverse=True)
        return Incomplete(traces) if body.get("errors") else traces

    def summaries(self, query: TraceQuery) -> list[TraceSummary]:
        """The traces that :meth:`search` finds, in short, newest first.

        Jaeger has an API for that since 2.19. An older one has not, and is asked for the whole traces. So
        are the traces of which no span is without a parent: Jaeger's summary does not name their first span.
        """
        found = self._summaries(query)
        if found is None:
            return [TraceSummary.of(trace) for trace in self.search(query)]
        if unnamed := [one.trace_id for one in found if not one.root_service]:
            whole = {
                trace.trace_id.rjust(32, "0"): TraceSummary.of(trace)
                for trace in map(self._trace, self._data("/api/traces", {"traceID": unnamed}))
            }
            found = [whole.get(one.trace_id, one) for one in found]
        return sorted(found, key=lambda one: one.start, reverse=True)

    def _summaries(self, query: TraceQuery) -> list[TraceSummary] | None:
        """What `/api/v3/trace-summaries` answers; None where there is no such API."""
        try:
            body = self.ask("/api/v3/trace-summaries", query.v3_params())
        except SourceUnreadable:
            return None  # Jaeger answers an unknown path with the page of its UI.
        except SourceRefused as error:
            if error.status == 404:
                return None
            raise
        try:
            return [TraceSummary.from_jaeger(one) for one in body["summaries"]]
        except (KeyError, TypeError, ValueError) as error:
            raise self.unreadable(str(error)) from error

    def trace(self, trace_id: str) -> Trace | None:
        """The trace, or None where the source does not have it."""
        try:
            data = self._data(f"/api/traces/{quote(trace_id, safe='')}")
        except SourceRefused as error:
            if error.status == 404:
                return None
            raise
        return self._trace(data[0]) if data else None

    def jaeger_json(self, trace_id: str) -> bytes | None:
        """The trace exactly as Jaeger writes it, for a download; None where it is not there."""
        return self.raw(f"/api/traces/{quote(trace_id, safe='')}")

    def otlp_json(self, trace_id: str) -> bytes | None:
        """The trace as OTLP JSON (`/api/v3`), for a download; None where it is not there."""
        body = self.raw(f"/api/v3/traces/{quote(trace_id, safe='')}")
        if body is None:
            return None
        # Jaeger wraps the OTLP message into `result`; what a receiver takes is the message itself.
        decoded = orjson.loads(body)
        inner = decoded.get("result", decoded) if isinstance(decoded, dict) else decoded
        return orjson.dumps(inner)

    def otlp_search(self, query: TraceQuery) -> list[dict[str, Any]]:
        """The `resourceSpans` in OTLP JSON of the traces that match, as they were sent (`/api/v3/traces`).

        They are Incomplete where the store says so, as the embedded one does.
        """
        try:
            body = self.ask("/api/v3/traces", {**query.v3_params(), "query.rawTraces": "true"})
            found = (body.get("result") or {}).get("resourceSpans") or ()
            return Incomplete(found) if body.get("incomplete") else list(found)
        except SourceRefused as error:
            if error.status == 404:  # as Jaeger says that it found none
                return []
            raise
        except (AttributeError, TypeError) as error:
            raise self.unreadable("its traces in OTLP have another shape") from error

    def dependencies(self, end: int, lookback: int) -> list[Dependency]:
        """Who called whom; `end` in microseconds since the epoch, `lookback` in microseconds."""
        params = {"endTs": end // 1000, "lookback": lookback // 1000}
        rows = self._data("/api/dependencies", params)
        try:
            return [Dependency(row["parent"], row["child"], int(row["callCount"])) for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise self.unreadable("its dependencies have another shape") from error

    def _data(self, path: str, params: Mapping[str, str | int | Sequence[str]] | None = None) -> list[Any]:
        return self._body(path, params).get("data") or []

    def _body(
        self, path: str, params: Mapping[str, str | int | Sequence[str]] | None = None
    ) -> Mapping[str, Any]:
        """An answer whose `data` is a list, or missing where it is empty."""
        body = self.ask(path, params)
        if not isinstance(body, dict) or not isinstance(body.get("data"), list | None):
            raise self.unreadable(f"its answer to {path} has no list `data`")
        return body

    def _trace(self, data: Any) -> Trace:
        try:
            return Trace.from_jaeger(data)
        except ValueError as error:
            raise self.unreadable(str(error)) from error


def _rfc3339(us: int, nanoseconds: str = "000") -> str:
    """Microseconds since the epoch as a time with nine digits."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds(us))
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}{nanoseconds}Z"
