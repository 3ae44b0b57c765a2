"""Jaeger's query API: services, operations, search, one trace, dependencies.

The legacy JSON (`/api/*`) is what Jaeger's own UI and Grafana use and what the embedded backend answers too;
`/api/v3` is asked only for OTLP JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson

from observability.sources.errors import SourceRefused
from observability.sources.traces import Trace
from observability.sources.transport import JsonSource


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
        """The traces that match, newest first, at most `query.limit`."""
        traces = [self._trace(data) for data in self._data("/api/traces", query.params())]
        return sorted(traces, key=lambda trace: trace.start, reverse=True)

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

    def dependencies(self, end: int, lookback: int) -> list[Dependency]:
        """Who called whom; `end` in microseconds since the epoch, `lookback` in microseconds."""
        params = {"endTs": end // 1000, "lookback": lookback // 1000}
        rows = self._data("/api/dependencies", params)
        try:
            return [Dependency(row["parent"], row["child"], int(row["callCount"])) for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise self.unreadable("its dependencies have another shape") from error

    def _data(self, path: str, params: Mapping[str, str | int] | None = None) -> list[Any]:
        body = self.ask(path, params)
        if not isinstance(body, dict) or not isinstance(body.get("data"), list | None):
            raise self.unreadable(f"its answer to {path} has no list `data`")
        return body.get("data") or []

    def _trace(self, data: Any) -> Trace:
        try:
            return Trace.from_jaeger(data)
        except ValueError as error:
            raise self.unreadable(str(error)) from error
