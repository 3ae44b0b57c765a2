"""Jaeger's legacy JSON API: `/api/services`, `/api/traces`, `/api/dependencies` and their kin.

Shapes, defaults and texts of errors follow Jaeger 2.20. Where Jaeger answers 500 for a parameter that
its storage refuses (a limit of zero), this answers 400.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import orjson
from flask import Blueprint, Response, request
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from dashcam.store import params, span_query
from dashcam.store.adjust import adjust
from dashcam.store.blocks import pack_spans, unpack_spans
from dashcam.store.jaeger_model import trace_hex, trace_json
from dashcam.store.otlp import Malformed, decode_traces
from dashcam.store.otlp_json import parse_json
from dashcam.store.params import BadParameter
from dashcam.store.reader import Reader
from dashcam.store.span_query import Trace, TraceQuery

MAX_LIMIT = 5000
"""Traces that one search may ask for."""

_DAY_MS = 24 * 60 * 60 * 1000
_LOOKBACK_US = 2 * _DAY_MS * 1000
_NOT_FOUND = "trace not found"
_ROOM = f"{span_query.ANSWER_BYTES // 2**20} MiB"
_GAVE_UP = f"the search ended after {span_query.SEARCH_SECONDS:g} s or {_ROOM}; narrow it to find the rest"
_CUT = f"the trace is larger than {_ROOM}, which is what is shown of it"

CONVERTING = threading.Lock()
"""A trace takes ten times its room while it is written as JSON: one at a time, which is work of the
interpreter anyway."""


class JaegerApi:
    """The routes, reading through `reader`."""

    def __init__(self, reader: Reader, clock: Callable[[], float] = time.time) -> None:
        self._reader = reader
        self._clock = clock

    def blueprint(self) -> Blueprint:
        """The routes under `/api`."""
        api = Blueprint("jaeger", __name__, url_prefix="/api")
        api.add_url_rule("/services", view_func=self.services)
        api.add_url_rule("/services/<path:service>/operations", view_func=self.operation_names)
        api.add_url_rule("/operations", view_func=self.operations)
        api.add_url_rule("/traces", view_func=self.search)
        api.add_url_rule("/traces/<trace_id>", view_func=self.get_trace)
        api.add_url_rule("/transform", view_func=self.transform, methods=["POST"])
        api.add_url_rule("/dependencies", view_func=self.dependencies)
        api.add_url_rule("/metrics/<path:name>", view_func=self.metrics)
        api.register_error_handler(BadParameter, lambda error: failed(400, str(error)))
        return api

    def services(self) -> Response:
        with self._reader.snapshot() as db:
            found = span_query.services(db)
        return answer(found, total=len(found))

    def operation_names(self, service: str) -> Response:
        with self._reader.snapshot() as db:
            found = list(dict.fromkeys(name for name, _ in span_query.operations(db, service)))
        return answer(found or None, total=len(found))

    def operations(self) -> Response:
        service = request.args.get("service", "")
        if not service:
            raise BadParameter("parameter 'service' is required")
        with self._reader.snapshot() as db:
            found = span_query.operations(db, service, request.args.get("spanKind", ""))
        return answer([{"name": name, "spanKind": kind} for name, kind in found], total=len(found))

    def search(self) -> Response:
        query, trace_ids, raw = search_query(int(self._clock() * 1_000_000))
        with self._reader.snapshot() as db:
            if not trace_ids:
                found, complete = span_query.search(db, query)
                errors = [] if complete else [{"code": 504, "msg": _GAVE_UP}]
                return answer([as_json(trace, raw) for trace in found], errors=errors or None)
            found = span_query.load(db, trace_ids)
            missing = dict.fromkeys(trace_ids)
            for trace in found:
                missing.pop(trace.trace_id, None)
            stored = {one for _, some in span_query.places(db, missing) for one in some}
        said = [
            {"msg": _CUT if trace_id in stored else _NOT_FOUND, "traceID": trace_hex(trace_id)}
            for trace_id in missing
        ]
        said += [{"msg": _CUT, "traceID": trace_hex(trace.trace_id)} for trace in found if trace.cut]
        return answer([as_json(trace, raw) for trace in found], errors=said or None)

    def get_trace(self, trace_id: str) -> Response:
        wanted = params.trace_id(trace_id)
        for name in ("start", "end"):
            time_argument(name, 0)
        raw = flag("raw")
        with self._reader.snapshot() as db:
            found = span_query.load(db, [wanted])
        if not found:
            return failed(404, _NOT_FOUND)
        return answer([as_json(found[0], raw)], errors=[{"msg": _CUT}] if found[0].cut else None)

    def transform(self) -> Response:
        """OTLP JSON in the body as Jaeger JSON, nothing stored: how Jaeger's UI opens a file."""
        try:
            sent = decode_traces(parse_json(request.get_data(), ExportTraceServiceRequest())).spans
        except Malformed as error:
            return failed(400, str(error))
        data = unpack_spans(pack_spans(sent))
        traces = span_query.split(data, dict.fromkeys(row.trace for row in sent))
        return answer([trace_json(trace.trace_id, trace.data) for trace in traces])

    def dependencies(self) -> Response:
        end = time_argument("endTs", int(self._clock() * 1000))
        lookback = time_argument("lookback", _DAY_MS)
        service = request.args.get("service", "")
        with self._reader.snapshot() as db:
            found = span_query.links(db, (end - lookback) * 1_000_000, end * 1_000_000)
        return answer(
            [
                {"parent": parent, "child": child, "callCount": n}
                for parent, child, n in found
                if not service or service in (parent, child)
            ]
        )

    def metrics(self, name: str) -> Response:
        return failed(501, "metrics querying is currently disabled")


def search_query(now: int) -> tuple[TraceQuery, list[bytes], bool]:
    """The search in the request's parameters, the trace ids asked for instead, and `raw`.

    `now` is in microseconds. Raises BadParameter.
    """
    arguments = request.args
    start = time_argument("start", now - _lookback(arguments.get("lookback", "")))
    end = time_argument("end", now)
    limit = params.integer("limit", arguments["limit"], 32) if arguments.get("limit") else 100
    if not 0 < limit <= MAX_LIMIT:
        raise BadParameter(f"search depth must be greater than 0 and at most {MAX_LIMIT}, got limit={limit}")
    shortest, longest = (
        params.duration(name, text) if (text := arguments.get(name, "")) else 0
        for name in ("minDuration", "maxDuration")
    )
    trace_ids = [params.trace_id(text) for text in arguments.getlist("traceID")]
    if shortest and longest and longest < shortest:
        raise BadParameter("'maxDuration' should be greater than 'minDuration'")
    query = TraceQuery(
        service=arguments.get("service", ""),
        operation=arguments.get("operation", ""),
        attributes=params.tags(arguments.getlist("tag"), arguments.getlist("tags")),
        start_min=start * 1000,
        start_max=end * 1000 + 999,
        duration_min=shortest or None,
        duration_max=longest or None,
        limit=limit,
    )
    if not trace_ids and not query.service:
        raise BadParameter("parameter 'service' is required")
    return query, trace_ids, flag("raw")


def _lookback(text: str) -> int:
    """The `lookback` of Jaeger's UI in microseconds: `1h`, `2d`; `custom` and nothing mean two days."""
    if text in ("", "custom"):
        return _LOOKBACK_US
    if text.endswith("d") and text[:-1].isascii() and text[:-1].isdigit() and len(text) < 8:
        return int(text[:-1]) * _DAY_MS * 1000
    if text.isascii() and text.isdigit():
        return params.integer("lookback", text)
    return params.duration("lookback", text) // 1000


def time_argument(name: str, default: int) -> int:
    """An integer parameter; `default` where it is absent or empty."""
    text = request.args.get(name, "")
    return params.integer(name, text) if text else default


def flag(name: str) -> bool:
    """A boolean parameter; false where it is absent or empty."""
    text = request.args.get(name, "")
    return params.boolean(name, text) if text else False


def as_json(trace: Trace, raw: bool) -> Any:
    """A trace in Jaeger's JSON, adjusted unless `raw`; written already unless it is to be pretty."""
    with CONVERTING:
        if not raw:
            adjust(trace.data)
        made = trace_json(trace.trace_id, trace.data)
        if trace.cut:
            made["warnings"] = [_CUT]
        trace.data.Clear()
        return made if _option() else orjson.Fragment(orjson.dumps(made))


def answer(data: Any, total: int = 0, errors: list[dict[str, Any]] | None = None) -> Response:
    """A structured response."""
    body = {"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors}
    return Response(orjson.dumps(body, option=_option()), content_type="application/json")


def _option() -> int:
    pretty = request.args.get("prettyPrint", "")
    return orjson.OPT_INDENT_2 if pretty and pretty != "false" else 0


def failed(status: int, message: str) -> Response:
    """A structured response that says why there is no data."""
    body = {"data": None, "total": 0, "limit": 0, "offset": 0, "errors": [{"code": status, "msg": message}]}
    return Response(orjson.dumps(body), status, content_type="application/json")
