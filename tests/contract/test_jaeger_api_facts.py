"""Facts of what Jaeger v2 answers for the same OTLP input, held against the query API.

The input is sent(). The documents were compared with those of a running Jaeger 2.13; where later
versions differ (order of tags and logs, the text for an orphan, `internal` for an unspecified kind),
they follow 2.20.
"""

from __future__ import annotations

from typing import Any

import pytest
from backendkit import START, TRACE, Request, Store, add_span

SHORT = bytes(8) + bytes.fromhex("1123456789abcdef")
SKEWED = b"\xaa" * 16
START_US = START // 1000
WINDOW = {"start": START_US - 10_000_000, "end": START_US + 100_000_000}


def sent() -> Request:
    """Three traces that show every translation and adjustment."""
    request = Request()
    web = request.resource("web", "flask", "0.1", host__name="a", zz=1, aa="x")
    root = add_span(
        web,
        "GET /",
        span=0xA1,
        duration=0.1,
        attributes={
            "z": "last",
            "n": 5,
            "big": 2**60,
            "f": 1.5,
            "whole": 100000.0,
            "b": True,
            "bytes": b"\x00\xff",
            "list": ["a", 1, 2.5, True],
            "map": {"k": "<v>", "a": [1]},
            "unset": None,
            "ip": 16909060,
        },
    )
    root.trace_state = "a=b"
    event = root.events.add(name="zeta", time_unix_nano=START + 50_000_123)
    event.attributes.add(key="q").value.string_value = "1"
    event = root.events.add(name="alpha", time_unix_nano=START + 60_000_999)
    event.attributes.add(key="event").value.string_value = "own"
    root.links.add(trace_id=SHORT, span_id=b"\x01" * 8)
    child_of = root.links.add(trace_id=SHORT, span_id=b"\x02" * 8)
    child_of.attributes.add(key="opentracing.ref_type").value.string_value = "child_of"
    root.links.add()
    car = request.resource("car", host__name="a")
    failing = add_span(car, "GET /cars", span=0xB1, parent=0xA1, start=0.01, duration=0.05, error=True)
    failing.status.message = "boom"
    add_span(car, "SELECT", span=0xB2, parent=0xB1, start=0.02, kind=3).status.code = 1
    again = add_span(car, "SELECT", span=0xB2, parent=0xB1, start=0.02, kind=3)
    again.status.code = 1
    add_span(car, "orphan", span=0xB4, parent=0xFF, start=0.02, kind=4)
    add_span(request.resource(None, x="y"), "backwards", trace=SHORT, span=0xC1, duration=-0.001, kind=0)
    skewed = request.resource("h1")
    add_span(skewed, "root", trace=SKEWED, span=1, duration=1)
    other = request.resource("h2")
    add_span(other, "late", trace=SKEWED, span=2, parent=1, start=0.9, duration=0.2)
    add_span(other, "fits", trace=SKEWED, span=3, parent=2, start=0.905, duration=0.002)
    return request


@pytest.fixture(scope="module")
def jaeger(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("jaeger"))
    store.spans(sent())
    yield store
    store.close()


def tag(key: str, kind: str, value: Any) -> dict[str, Any]:
    return {"key": key, "type": kind, "value": value}


def by_name(trace: dict[str, Any]) -> dict[str, Any]:
    return {span["operationName"]: span for span in trace["spans"]}


def one(store: Store, trace_id: bytes, **parameters: Any) -> dict[str, Any]:
    (trace,) = store.get(f"/api/traces/{trace_id.hex()}", **parameters)["data"]
    return trace


def test_the_envelope_is_jaegers(jaeger):
    body = jaeger.get(f"/api/traces/{TRACE.hex()}")
    assert {key: body[key] for key in body if key != "data"} == {
        "total": 0,
        "limit": 0,
        "offset": 0,
        "errors": None,
    }
    assert set(body["data"][0]) == {"traceID", "spans", "processes", "warnings"}
    assert body["data"][0]["traceID"] == TRACE.hex()
    assert body["data"][0]["warnings"] is None


def test_a_span_is_translated_and_sorted(jaeger):
    trace = one(jaeger, TRACE)
    root = by_name(trace)["GET /"]
    assert root | {"processID": ""} == {
        "traceID": TRACE.hex(),
        "spanID": "00000000000000a1",
        "operationName": "GET /",
        "references": [
            {"refType": "FOLLOWS_FROM", "traceID": "1123456789abcdef", "spanID": "0101010101010101"},
            {"refType": "CHILD_OF", "traceID": "1123456789abcdef", "spanID": "0202020202020202"},
        ],
        "startTime": START_US,
        "duration": 100_000,
        "tags": [
            tag("otel.scope.name", "string", "flask"),
            tag("otel.scope.version", "string", "0.1"),
            tag("b", "bool", True),
            tag("big", "int64", "1152921504606846976"),
            tag("bytes", "binary", "AP8="),
            tag("f", "float64", 1.5),
            tag("ip", "string", "1.2.3.4"),
            tag("list", "string", '["a",1,2.5,true]'),
            tag("map", "string", '{"a":[1],"k":"\\u003cv\\u003e"}'),
            tag("n", "int64", 5),
            tag("unset", "string", ""),
            tag("whole", "float64", 100000),
            tag("z", "string", "last"),
            tag("span.kind", "string", "server"),
            tag("w3c.tracestate", "string", "a=b"),
        ],
        "logs": [
            {"timestamp": START_US + 60_000, "fields": [tag("event", "string", "own")]},
            {
                "timestamp": START_US + 50_000,
                "fields": [tag("event", "string", "zeta"), tag("q", "string", "1")],
            },
        ],
        "processID": "",
        "warnings": ["Invalid span link removed"],
    }
    assert trace["processes"][root["processID"]] == {
        "serviceName": "web",
        "tags": [tag("aa", "string", "x"), tag("host.name", "string", "a"), tag("zz", "int64", 1)],
    }


def test_an_error_has_its_tags_and_a_child_its_parent_first(jaeger):
    failing = by_name(one(jaeger, TRACE))["GET /cars"]
    assert failing["references"] == [
        {"refType": "CHILD_OF", "traceID": TRACE.hex(), "spanID": "00000000000000a1"}
    ]
    assert failing["tags"] == [
        tag("span.kind", "string", "server"),
        tag("otel.status_code", "string", "ERROR"),
        tag("error", "bool", True),
        tag("otel.status_description", "string", "boom"),
    ]
    assert failing["warnings"] is None
    assert (failing["logs"], failing["startTime"], failing["duration"]) == ([], START_US + 10_000, 50_000)


def test_a_span_received_twice_is_shown_once(jaeger):
    names = [span["operationName"] for span in one(jaeger, TRACE)["spans"]]
    assert sorted(names) == ["GET /", "GET /cars", "SELECT", "orphan"]


def test_raw_shows_what_was_received(jaeger):
    trace = one(jaeger, TRACE, raw="true")
    assert len(trace["spans"]) == 5
    root = by_name(trace)["GET /"]
    assert [item["key"] for item in root["tags"]][2:5] == ["z", "n", "big"]
    assert len(root["references"]) == 3
    assert root["references"][2] == {
        "refType": "FOLLOWS_FROM",
        "traceID": "0000000000000000",
        "spanID": "0000000000000000",
    }
    assert root["warnings"] is None


def test_warnings_are_jaegers(jaeger):
    assert by_name(one(jaeger, TRACE))["orphan"]["warnings"] == [
        "parent span ID=00000000000000ff is not in the trace; skipping clock skew adjustment"
    ]
    skewed = by_name(one(jaeger, SKEWED))
    assert skewed["root"]["warnings"] is None
    assert skewed["late"]["warnings"] == [
        "clock skew adjustment disabled; not applying calculated delta of -500ms"
    ]
    assert skewed["fits"]["warnings"] is None
    assert skewed["late"]["startTime"] == START_US + 900_000


def test_repairs_are_jaegers(jaeger):
    trace = one(jaeger, SHORT)
    (span,) = trace["spans"]
    assert trace["processes"]["p1"] == {
        "serviceName": "missing-service-name",
        "tags": [tag("x", "string", "y")],
    }
    assert (span["duration"], span["tags"]) == (0, [])
    assert span["warnings"] == [
        "Negative duration detected, sanitizing end timestamp. Original end timestamp: "
        "2026-11-22 15:06:39.999 +0000 UTC, adjusted to: 2026-11-22 15:06:40.000000001 +0000 UTC"
    ]


def test_a_short_trace_id_is_padded_in_the_question_and_cut_in_the_answer(jaeger):
    for asked in ("1123456789abcdef", "00000000000000001123456789abcdef"):
        (trace,) = jaeger.get(f"/api/traces/{asked}")["data"]
        assert trace["traceID"] == trace["spans"][0]["traceID"] == "1123456789abcdef"


def test_services_and_operations_have_totals(jaeger):
    assert jaeger.get("/api/services") == {
        "data": ["car", "h1", "h2", "missing-service-name", "web"],
        "total": 5,
        "limit": 0,
        "offset": 0,
        "errors": None,
    }
    assert jaeger.get("/api/operations", service="car", spanKind="client")["data"] == [
        {"name": "SELECT", "spanKind": "client"}
    ]
    assert jaeger.get("/api/services/missing-service-name/operations")["data"] == ["backwards"]
    assert jaeger.get("/api/operations", service="missing-service-name")["data"] == [
        {"name": "backwards", "spanKind": ""}
    ]


def test_what_is_unknown_is_empty_and_not_an_error(jaeger):
    assert jaeger.get("/api/traces", service="nope")["data"] == []
    assert jaeger.get("/api/operations", service="nope")["data"] == []
    assert jaeger.get("/api/services/nope/operations")["data"] is None
    assert jaeger.get("/api/operations", service="car", spanKind="SERVER")["data"] == []


def test_several_trace_ids_are_fetched_and_the_missing_ones_named(jaeger):
    body = jaeger.get("/api/traces", traceID=[TRACE.hex(), "e" * 32, "1123456789abcdef"])
    assert [trace["traceID"] for trace in body["data"]] == [TRACE.hex(), "1123456789abcdef"]
    assert body["errors"] == [{"msg": "trace not found", "traceID": "e" * 32}]


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        (f"/api/traces/{'f' * 32}", 404, "trace not found"),
        ("/api/traces/zz", 400, 'TraceID cannot be parsed: "zz"'),
        (
            f"/api/traces/{TRACE.hex()}?raw=maybe",
            400,
            "unable to parse param 'raw': strconv.ParseBool: parsing \"maybe\": invalid syntax",
        ),
        (
            f"/api/traces/{TRACE.hex()}?start=abc",
            400,
            "unable to parse param 'start': strconv.ParseInt: parsing \"abc\": invalid syntax",
        ),
        ("/api/traces", 400, "parameter 'service' is required"),
        ("/api/operations", 400, "parameter 'service' is required"),
        ("/api/traces?service=web&limit=abc", 400, "invalid syntax"),
        ("/api/traces?service=web&limit=0", 400, "search depth must be greater than 0"),
        ("/api/traces?service=web&limit=-1", 400, "search depth must be greater than 0"),
        (
            "/api/traces?service=web&minDuration=5",
            400,
            "unable to parse param 'minDuration': time: missing unit in duration \"5\"",
        ),
        (
            "/api/traces?service=web&minDuration=2s&maxDuration=1s",
            400,
            "'maxDuration' should be greater than 'minDuration'",
        ),
        ("/api/traces?service=web&end=1.5", 400, "unable to parse param 'end'"),
        (
            "/api/traces?service=web&tag=abc",
            400,
            "malformed 'tag' parameter, expecting key:value, received: abc",
        ),
        ("/api/traces?service=web&tags=abc", 400, "malformed 'tags' parameter, cannot unmarshal JSON"),
        ("/api/traces?service=web&tags=%7B%22a%22%3A1%7D", 400, "malformed 'tags' parameter"),
        ("/api/traces?traceID=zz", 400, "zz"),
        ("/api/traces?service=web&raw=x", 400, "unable to parse param 'raw'"),
        ("/api/dependencies?endTs=abc", 400, "unable to parse param 'endTs'"),
        ("/api/dependencies?lookback=x", 400, "unable to parse param 'lookback'"),
        ("/api/metrics/calls?service=web", 501, "metrics querying is currently disabled"),
    ],
)
def test_an_error_has_jaegers_shape_and_says_what_is_wrong(jaeger, path, status, message):
    response = jaeger.client.get(path)
    body = response.get_json()
    assert response.status_code == status
    assert {key: body[key] for key in ("data", "total", "limit", "offset")} == {
        "data": None,
        "total": 0,
        "limit": 0,
        "offset": 0,
    }
    assert body["errors"][0]["code"] == status
    assert message in body["errors"][0]["msg"]


@pytest.mark.parametrize(
    "query",
    [
        "start=99999999999999999999",
        "limit=2147483647",
        "tags=[[[[",
        "tags=" + "[" * 9999,
        "tag=:",
        "tag=a:%00",
        "service=%00",
        "operation=%FF",
        "minDuration=-5s",
        "start=-9223372036854775808&end=9223372036854775807",
        "tag=n:" + "9" * 400,
        "tag=n:1e999",
        "lookback=999999999d",
        "tag=resource.:x",
        "tag=n:%F0%9F%92%A5",
        "limit=5&limit=x",
        "minDuration=" + "1h" * 4000,
    ],
)
def test_no_parameter_breaks_the_search(jaeger, query):
    assert jaeger.client.get(f"/api/traces?service=web&{query}").status_code in (200, 400)


def test_pretty_print_is_the_same_document(jaeger):
    plain, pretty = (jaeger.client.get(f"/api/services{query}") for query in ("", "?prettyPrint=true"))
    assert pretty.get_json() == plain.get_json()
    assert b"\n" in pretty.data


def test_transform_shows_otlp_json_without_storing_it(jaeger):
    document = {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "gen"}}]},
                "scopeSpans": [
                    {
                        "scope": {"name": "gen"},
                        "spans": [
                            {
                                "traceId": "83a9efd15c1c98a977e0711cc93ee28b",
                                "spanId": "e127af99e3b3e074",
                                "parentSpanId": "909541b92cf05311",
                                "name": "okey-dokey-0",
                                "kind": 2,
                                "startTimeUnixNano": "1706678909209712000",
                                "endTimeUnixNano": "1706678909209835000",
                                "status": {},
                            }
                        ],
                    }
                ],
            }
        ]
    }
    (trace,) = jaeger.client.post("/api/transform", json=document).get_json()["data"]
    assert trace["spans"][0]["startTime"] == 1706678909209712
    assert trace["spans"][0]["duration"] == 123
    assert trace["processes"] == {"p1": {"serviceName": "gen", "tags": []}}
    assert "gen" not in jaeger.get("/api/services")["data"]
    assert jaeger.client.post("/api/transform", data="{").status_code == 400


# -- /api/v3 ----------------------------------------------------------------------------------------

RANGE = {"query.startTimeMin": "2026-11-22T15:00:00Z", "query.startTimeMax": "2026-11-22T16:00:00.5+00:00"}


def test_v3_lists_services_and_operations(jaeger):
    assert jaeger.get("/api/v3/services") == {"services": ["car", "h1", "h2", "missing-service-name", "web"]}
    assert jaeger.get("/api/v3/operations", service="car", spanKind="client") == {
        "operations": [{"name": "SELECT", "spanKind": "client"}]
    }
    # Jaeger names an unspecified kind `internal` here.
    assert jaeger.get("/api/v3/operations", service="missing-service-name") == {
        "operations": [{"name": "backwards", "spanKind": "internal"}]
    }
    assert jaeger.get("/api/v3/operations") == {"operations": []}


def test_v3_answers_a_trace_as_otlp_json(jaeger):
    body = jaeger.get(f"/api/v3/traces/{SKEWED.hex()}")
    assert list(body) == ["result"]
    assert body["result"]["resourceSpans"][0] == {
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "h1"}}]},
        "scopeSpans": [
            {
                "scope": {},
                "spans": [
                    {
                        "traceId": SKEWED.hex(),
                        "spanId": "0000000000000001",
                        "name": "root",
                        "kind": 2,
                        "startTimeUnixNano": str(START),
                        "endTimeUnixNano": str(START + 1_000_000_000),
                        "status": {},
                    }
                ],
            }
        ],
    }
    warning = "clock skew adjustment disabled; not applying calculated delta of -500ms"
    late = body["result"]["resourceSpans"][1]["scopeSpans"][0]["spans"][0]
    assert late["parentSpanId"] == "0000000000000001"
    assert late["attributes"] == [
        {"key": "@jaeger@warnings", "value": {"arrayValue": {"values": [{"stringValue": warning}]}}}
    ]


def test_v3_keeps_the_types_of_values(jaeger):
    body = jaeger.get(f"/api/v3/traces/{TRACE.hex()}", rawTraces="true")
    root = body["result"]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert {item["key"]: item["value"] for item in root["attributes"]} == {
        "z": {"stringValue": "last"},
        "n": {"intValue": "5"},
        "big": {"intValue": "1152921504606846976"},
        "f": {"doubleValue": 1.5},
        "whole": {"doubleValue": 100000},
        "b": {"boolValue": True},
        "bytes": {"bytesValue": "AP8="},
        "list": {
            "arrayValue": {
                "values": [{"stringValue": "a"}, {"intValue": "1"}, {"doubleValue": 2.5}, {"boolValue": True}]
            }
        },
        "map": {
            "kvlistValue": {
                "values": [
                    {"key": "k", "value": {"stringValue": "<v>"}},
                    {"key": "a", "value": {"arrayValue": {"values": [{"intValue": "1"}]}}},
                ]
            }
        },
        "unset": {},
        "ip": {"intValue": "16909060"},
    }
    assert root["traceState"] == "a=b"
    assert root["links"][0] == {"traceId": SHORT.hex(), "spanId": "0101010101010101"}
    assert root["events"][0]["timeUnixNano"] == str(START + 50_000_123)


def test_v3_finds_traces(jaeger):
    for names in (
        {"query.serviceName": "car", "query.operationName": "SELECT"},
        {"query.service_name": "car", "query.operation_name": "SELECT"},
        {"query.serviceName": "web", "query.attributes": '{"n":"5"}', "query.durationMin": "100ms"},
        {"query.attributes": '{"n":"5"}'},
    ):
        spans = [
            span
            for resource in jaeger.get("/api/v3/traces", **RANGE, **names)["result"]["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]
        assert {span["traceId"] for span in spans} == {TRACE.hex()}


def test_v3_summarises_traces(jaeger):
    assert jaeger.get("/api/v3/trace-summaries", **RANGE, **{"query.serviceName": "car"}) == {
        "summaries": [
            {
                "traceId": TRACE.hex(),
                "rootServiceName": "web",
                "rootOperationName": "GET /",
                "minStartTimeUnixNano": str(START),
                "maxEndTimeUnixNano": str(START + 100_000_000),
                "spanCount": 4,
                "errorSpanCount": 1,
                "orphanSpanCount": 1,
                "services": [
                    {"name": "car", "spanCount": 3, "errorSpanCount": 1},
                    {"name": "web", "spanCount": 1},
                ],
            }
        ]
    }
    assert jaeger.get("/api/v3/trace-summaries", **RANGE, **{"query.serviceName": "nope"}) == {
        "summaries": []
    }


@pytest.mark.parametrize(
    ("path", "parameters", "status", "message"),
    [
        ("/api/v3/traces/zz", {}, 400, "malformed parameter trace_id"),
        (f"/api/v3/traces/{'e' * 32}", {}, 404, "No traces found"),
        (f"/api/v3/traces/{TRACE.hex()}", {"startTime": "x"}, 400, "malformed parameter startTime"),
        (f"/api/v3/traces/{TRACE.hex()}", {"raw_traces": "x"}, 400, "malformed parameter raw_traces"),
        ("/api/v3/traces", {}, 400, "query.startTimeMin and query.startTimeMax are required"),
        (
            "/api/v3/traces",
            RANGE | {"query.startTimeMin": "2027-01-01T00:00:00Z"},
            400,
            "query.startTimeMin must be before query.startTimeMax",
        ),
        (
            "/api/v3/traces",
            RANGE | {"query.startTimeMax": "soon"},
            400,
            "malformed parameter query.startTimeMax",
        ),
        ("/api/v3/traces", RANGE | {"query.searchDepth": "x"}, 400, "malformed parameter query.searchDepth"),
        ("/api/v3/traces", RANGE | {"query.num_traces": "0"}, 400, "search depth must be greater than 0"),
        ("/api/v3/traces", RANGE | {"query.durationMin": "5"}, 400, "malformed parameter query.durationMin"),
        ("/api/v3/traces", RANGE | {"query.attributes": "5"}, 400, "malformed 'query.attributes' parameter"),
        ("/api/v3/traces", RANGE | {"query.serviceName": "nope"}, 404, "No traces found"),
    ],
)
def test_v3_errors_have_the_gateways_shape(jaeger, path, parameters, status, message):
    response = jaeger.client.get(path, query_string=parameters)
    assert response.status_code == status
    assert response.get_json()["error"]["httpCode"] == status
    assert message in response.get_json()["error"]["message"]
