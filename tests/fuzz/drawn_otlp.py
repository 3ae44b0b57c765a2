"""OTLP requests over HTTP and gRPC as nobody should send them."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

from fuzz.fuzzing import mangled
from google.protobuf.json_format import MessageToJson
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REQUESTS = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
DEPTH = 7
"""How deep messages are drawn into each other: values may hold values."""


def message(kind: Any, depth: int = DEPTH) -> st.SearchStrategy[Any]:
    """Any message of a protobuf type, by its fields."""
    fields = {
        field.name: _field(field, depth)
        for field in kind.DESCRIPTOR.fields
        if depth or not field.message_type
    }

    @st.composite
    def build(draw: st.DrawFn) -> Any:
        made = kind()
        chosen = draw(st.lists(st.sampled_from(sorted(fields)), unique=True, max_size=5)) if fields else []
        for name in chosen:
            value = draw(fields[name])
            if isinstance(value, list):
                getattr(made, name).extend(value)
            elif hasattr(value, "DESCRIPTOR"):
                getattr(made, name).CopyFrom(value)
            else:
                setattr(made, name, value)
        return made

    return build()


def _field(field: Any, depth: int) -> st.SearchStrategy[Any]:
    """What a field may hold, in a list where it is repeated."""
    if field.message_type is not None:
        kind = field.message_type._concrete_class
        one: st.SearchStrategy[Any] = st.deferred(lambda: message(kind, depth - 1))
    else:
        one = SCALARS[field.cpp_type](field)
    return st.lists(one, max_size=3) if field.is_repeated else one


WHOLE = st.integers
TIMES = st.sampled_from([0, 1, 2**63, 2**64 - 1, 1_795_360_000_000_000_000])
SCALARS: dict[int, Any] = {
    1: lambda _: WHOLE(-(2**31), 2**31 - 1),
    2: lambda _: WHOLE(-(2**63), 2**63 - 1),
    3: lambda _: WHOLE(0, 2**32 - 1),
    4: lambda _: TIMES | WHOLE(0, 2**64 - 1),
    5: lambda _: st.floats(),
    6: lambda _: st.floats(width=32),
    7: lambda _: st.booleans(),
    8: lambda field: (
        st.sampled_from([value.number for value in field.enum_type.values]) | WHOLE(0, 2**31 - 1)
    ),
    9: lambda field: (
        st.sampled_from([b"\1" * 16, b"\2" * 8, b""]) | st.binary(max_size=40)
        if field.type == field.TYPE_BYTES
        else st.sampled_from(["service.name", "http.route", "", "a" * 5000]) | st.text(max_size=30)
    ),
}
"""By protobuf's CPPTYPE of a field."""


def bodies(signal: str) -> st.SearchStrategy[bytes]:
    """Encoded requests, whole and mangled, and what is none."""
    requests = message(REQUESTS[signal])
    return mangled(requests.map(lambda made: made.SerializeToString())) | st.binary(max_size=200)


def texts(signal: str) -> st.SearchStrategy[bytes]:
    """The same as JSON."""
    requests = message(REQUESTS[signal]).map(lambda made: MessageToJson(made, indent=None).encode())
    values = st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["resourceSpans", "spans", "x"]), inner)
        ),
        max_leaves=20,
    )
    return mangled(requests) | values.map(lambda value: json.dumps(value).encode())


@st.composite
def http_requests(draw: st.DrawFn) -> tuple[str, dict[str, str], bytes]:
    """Path, headers and body."""
    signal = draw(st.sampled_from(sorted(REQUESTS)))
    is_json = draw(st.booleans())
    body = draw(texts(signal) if is_json else bodies(signal))
    kinds = [
        "application/json",
        "application/x-protobuf",
        "application/json; charset=utf-16",
        "text/plain",
        "",
    ]
    right = kinds[0] if is_json else kinds[1]
    headers = {"Content-Type": draw(st.just(right) | st.sampled_from(kinds))}
    coding = draw(st.sampled_from([None, None, "gzip", "deflate", "br", "gzip, gzip", "x" * 300]))
    if coding:
        headers["Content-Encoding"] = coding
        packed = gzip.compress(body, 1) if "gzip" in coding else zlib.compress(body)
        body = draw(mangled(st.just(packed)))
    if draw(st.integers(0, 9)) == 0:
        headers[draw(st.sampled_from(["Accept", "Origin", "Accept-Encoding", "Expect"]))] = draw(
            st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
        ).strip()
    return f"/v1/{signal}", headers, body
