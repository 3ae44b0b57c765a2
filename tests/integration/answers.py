"""What two answers of Jaeger's API must agree in, and the written list of what they need not.

The embedded backend follows Jaeger 2.20 (ADR 22), the program that can be built here is 2.13: what changed
between the two is set aside below, each point by name. docs/backend.md has the same list, and a test
compares the two.
"""

from __future__ import annotations

import json
from typing import Any

Json = Any

NEWER = {
    "order": "2.20 sorts tags, fields and events; 2.13 leaves them as they came",
    "empty names": "2.20 calls a span without a name `empty-span-name`; in 2.13 it has none",
    "skew": "2.20 warns of skewed clocks in the legacy API as `/api/v3` does in both;"
    " 2.13 goes by other tags there",
    "kind": "2.20's `/api/v3/operations` calls an unspecified kind `internal`; 2.13 leaves it out",
    "tags with a meaning": "2.20 understands `span.status`, `span.kind`, `scope.name`, `scope.version`,"
    " `resource.<key>` and `error` as text; 2.13's memory looks for attributes of these names",
    "links": "2.20 looks for a tag in the attributes of links too",
}
"""What is set aside because 2.20 changed it, and what it is."""

CHOSEN = {
    "grouping": "spans of equal resource and scope come together in `/api/v3/traces`",
    "microseconds": "a search's last microsecond is a whole one",
}
"""What is set aside because the embedded backend differs on purpose; the page's table says the other half."""


def canonical(answer: Json) -> Json:
    """An answer with everything in one order and without what is in NEWER and CHOSEN."""
    answer = _numbers(answer)
    if not isinstance(answer, dict):
        return answer
    if _has_traces(answer):
        answer["data"] = sorted(map(_trace, answer["data"]), key=lambda trace: str(trace["traceID"]))
    elif "result" in answer:
        _name_spans(answer["result"])
        answer["result"]["resourceSpans"] = _together(answer["result"]["resourceSpans"])
    return answer


def trace_ids(answer: Json) -> Json:
    """The ids of the traces in a search's answer, of either API; the answer itself where it has none."""
    if not isinstance(answer, dict):
        return answer
    if answer.get("error", {}).get("message") == "No traces found":
        return []
    if "result" in answer:
        groups = [scope for resource in answer["result"]["resourceSpans"] for scope in resource["scopeSpans"]]
        return sorted({span["traceId"] for group in groups for span in group["spans"]})
    return sorted(trace["traceID"].rjust(32, "0") for trace in answer["data"] or [])


def operations(answer: Json) -> list[tuple[str, str]]:
    """(name, kind) of each operation, in the answer of any API that lists them."""
    rows = answer.get("operations", answer.get("data")) or []
    named = [row if isinstance(row, dict) else {"name": row} for row in rows]
    return sorted(
        {(row.get("name") or "empty-span-name", row.get("spanKind") or "internal") for row in named}
    )


def dependencies(answer: Json) -> dict[tuple[str, str], int]:
    """Calls by (parent, child)."""
    return {(row["parent"], row["child"]): row["callCount"] for row in answer["data"]}


def _has_traces(answer: Json) -> bool:
    data = answer.get("data")
    return isinstance(data, list) and bool(data) and isinstance(data[0], dict) and "spans" in data[0]


def _trace(trace: Json) -> Json:
    for process in trace["processes"].values():
        process["tags"].sort(key=_text)
    # The key of a process says nothing but which spans share it.
    texts = {key: _text(process) for key, process in trace["processes"].items()}
    for span in trace["spans"]:
        span["processID"] = texts[span["processID"]]
        span["operationName"] = span["operationName"] or "empty-span-name"
        span["tags"].sort(key=_text)
        for event in span["logs"]:
            event["fields"].sort(key=_text)
        span["logs"].sort(key=_text)
        span["warnings"] = [each for each in span["warnings"] or [] if "clock skew adjustment" not in each]
    trace["processes"] = sorted(texts.values())
    trace["spans"].sort(key=_text)
    return trace


def _name_spans(message: Json) -> None:
    for resource in message["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                span.setdefault("name", "empty-span-name")


def _together(groups: list[Json]) -> list[Json]:
    """Resources that are equal but for their spans as one, where the first is; in each, scopes likewise."""
    resources = _joined(groups, "scopeSpans")
    for resource in resources:
        resource["scopeSpans"] = _joined(resource["scopeSpans"], "spans")
    return resources


def _joined(groups: list[Json], inside: str) -> list[Json]:
    found: dict[str, Json] = {}
    for group in groups:
        around = {key: value for key, value in group.items() if key != inside}
        found.setdefault(_text(around), {**around, inside: []})[inside] += group[inside]
    return list(found.values())


def _numbers(value: Json) -> Json:
    """Large whole numbers as doubles: `1e20` and `100000000000000000000` are one number."""
    if isinstance(value, dict):
        return {key: _numbers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_numbers(one) for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return float(value)
    return value


def _text(value: Json) -> str:
    return json.dumps(value, sort_keys=True)
