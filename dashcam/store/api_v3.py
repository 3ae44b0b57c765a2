"""Jaeger's `/api/v3` over HTTP: services, operations, traces as OTLP JSON, and summaries of traces.

Parameters are camelCase; the snake_case names of older versions are understood as well. An answer that lacks
traces or spans, for its size or the time it would take, has `"incomplete": true` beside its `result`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from flask import Blueprint, Response, request

from dashcam.store import params, span_query, span_summary
from dashcam.store.adjust import adjust
from dashcam.store.api_jaeger import CONVERTING, MAX_LIMIT
from dashcam.store.otlp_out import traces_json
from dashcam.store.params import BadParameter
from dashcam.store.reader import Reader
from dashcam.store.span_query import Trace, TraceQuery
from dashcam.store.span_summary import TraceSummary

T = TypeVar("T")


class ApiV3:
    """The routes, reading through `reader`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def blueprint(self) -> Blueprint:
        """The routes under `/api/v3`."""
        api = Blueprint("jaeger_v3", __name__, url_prefix="/api/v3")
        api.add_url_rule("/services", view_func=self.services)
        api.add_url_rule("/operations", view_func=self.operations)
        api.add_url_rule("/traces", view_func=self.find_traces)
        api.add_url_rule("/traces/<trace_id>", view_func=self.get_trace)
        api.add_url_rule("/trace-summaries", view_func=self.summaries)
        api.register_error_handler(BadParameter, lambda error: _failed(400, str(error)))
        return api

    def services(self) -> Response:
        with self._reader.snapshot() as db:
            return _answer({"services": span_query.services(db)})

    def operations(self) -> Response:
        _, kind = argument("spanKind", "span_kind")
        with self._reader.snapshot() as db:
            found = span_query.operations(db, request.args.get("service", ""), kind)
        return _answer(
            {"operations": [{"name": name, "spanKind": kind or "internal"} for name, kind in found]}
        )

    def find_traces(self) -> Response:
        query, raw = find_query()
        with self._reader.snapshot() as db:
            found, complete = span_query.search(db, query)
            return _result(found, raw, complete)

    def get_trace(self, trace_id: str) -> Response:
        try:
            wanted = params.trace_id(trace_id)
        except BadParameter as error:
            raise BadParameter(f"malformed parameter trace_id: {error}") from None
        for canonical, old in (("startTime", "start_time"), ("endTime", "end_time")):
            parsed(canonical, old, params.timestamp)
        raw = parsed("rawTraces", "raw_traces", params.boolean) or False
        with self._reader.snapshot() as db:
            return _result(span_query.load(db, [wanted]), raw)

    def summaries(self) -> Response:
        query, _ = find_query()
        with self._reader.snapshot() as db:
            found = span_summary.summaries(db, span_query.find(db, query).traces)
        return _answer({"summaries": [_summary_json(summary) for summary in found]})


def find_query() -> tuple[TraceQuery, bool]:
    """The search in the `query.*` parameters, and whether traces are wanted raw. Raises BadParameter."""
    start = parsed("query.startTimeMin", "query.start_time_min", params.timestamp)
    end = parsed("query.startTimeMax", "query.start_time_max", params.timestamp)
    if start is None or end is None:
        raise BadParameter("query.startTimeMin and query.startTimeMax are required")
    if start >= end:
        raise BadParameter("query.startTimeMin must be before query.startTimeMax")
    limit = parsed("query.searchDepth", "query.search_depth", _depth)
    if limit is None:
        limit = parsed("query.num_traces", "query.num_traces", _depth)
    attributes = request.args.get("query.attributes", "")
    query = TraceQuery(
        service=argument("query.serviceName", "query.service_name")[1],
        operation=argument("query.operationName", "query.operation_name")[1],
        attributes=params.string_map("query.attributes", attributes) if attributes else {},
        start_min=start,
        start_max=end,
        duration_min=parsed("query.durationMin", "query.duration_min", params.duration) or None,
        duration_max=parsed("query.durationMax", "query.duration_max", params.duration) or None,
        limit=100 if limit is None else limit,
    )
    return query, parsed("query.rawTraces", "query.raw_traces", params.boolean) or False


def _summary_json(summary: TraceSummary) -> dict[str, Any]:
    """A summary in Jaeger's JSON; fields that are empty or zero are left out."""
    services = [
        {"name": name, "spanCount": one.spans, "errorSpanCount": one.errors}
        for name, one in sorted(summary.services.items())
    ]
    fields = {
        "traceId": summary.trace_id.hex(),
        "rootServiceName": summary.root[0],
        "rootOperationName": summary.root[1],
        "minStartTimeUnixNano": str(summary.start),
        "maxEndTimeUnixNano": str(summary.end),
        "spanCount": sum(one.spans for one in summary.services.values()),
        "errorSpanCount": sum(one.errors for one in summary.services.values()),
        "orphanSpanCount": summary.orphans,
        "services": [{key: value for key, value in one.items() if value} for one in services],
    }
    return {name: value for name, value in fields.items() if value}


def argument(canonical: str, old: str) -> tuple[str, str]:
    """The name a parameter was given by, and its text; empty where it is absent."""
    text = request.args.get(canonical, "")
    return (canonical, text) if text else (old, request.args.get(old, ""))


def parsed(canonical: str, old: str, parse: Callable[[str, str], T]) -> T | None:
    """A parameter's value, or None where it is absent. Raises BadParameter with the name it was given by."""
    name, text = argument(canonical, old)
    if not text:
        return None
    try:
        return parse(name, text)
    except BadParameter as error:
        message = str(error).removeprefix(f"unable to parse param '{name}': ")
        prefix = f"malformed parameter {name}: "
        raise BadParameter(message if message.startswith(prefix) else prefix + message) from None


def _depth(name: str, text: str) -> int:
    depth = params.integer(name, text, 32)
    if not 0 < depth <= MAX_LIMIT:
        raise BadParameter(f"search depth must be greater than 0 and at most {MAX_LIMIT}, got {depth}")
    return depth


def _result(found: list[Trace], raw: bool, complete: bool = True) -> Response:
    complete = complete and not any(trace.cut for trace in found)
    if not found and complete:
        return _failed(404, "No traces found")
    result = {"resourceSpans": [part for trace in found for part in _written(trace, raw)]}
    return _answer({"result": result} if complete else {"result": result, "incomplete": True})


def _written(trace: Trace, raw: bool) -> list[orjson.Fragment]:
    with CONVERTING:
        if not raw:
            adjust(trace.data)
        return [orjson.Fragment(orjson.dumps(part)) for part in traces_json([trace.data])]


def _answer(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), content_type="application/json")


def _failed(status: int, message: str) -> Response:
    body = {"error": {"httpCode": status, "message": message}}
    return Response(orjson.dumps(body), status, content_type="application/json")
