"""OTLP's JSON encoding to the same protobuf messages.

OTLP JSON is proto3 JSON with one difference: trace and span ids are hex, where proto3 JSON has
base64. Unknown fields are ignored, 64-bit integers may be numbers or strings, keys are camelCase.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, TypeVar

import orjson
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from dashcam.store.otlp import Malformed, TooLarge

M = TypeVar("M", bound=Message)

_IDS = {"traceId": 16, "spanId": 8, "parentSpanId": 8, "trace_id": 16, "span_id": 8, "parent_span_id": 8}
_DEPTH = 100

MOST = 250_000
"""Objects and lists of a request; each takes some 400 bytes while it is read."""


def parse_json(body: bytes, message: M) -> M:
    """`message`, filled from OTLP JSON.

    Raises Malformed, and TooLarge for more than MOST objects and lists.
    """
    if (count := body.count(b"{") + body.count(b"[")) > MOST:
        raise TooLarge(f"it has {count} objects and lists, at most {MOST} are read; send smaller batches")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Malformed(f"a JSON object is expected, got {type(document).__name__}")
    try:
        return ParseDict(_with_bytes(document, 0), message, ignore_unknown_fields=True)
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Malformed(f"not an {message.DESCRIPTOR.name} in JSON: {error}") from None


def _with_bytes(value: Any, depth: int) -> Any:
    """The document with every id in base64. Attribute values hold no ids and are left alone."""
    if depth > _DEPTH:
        raise Malformed(f"nested deeper than {_DEPTH} levels")
    if isinstance(value, list):
        return [_with_bytes(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _id(key, item) if key in _IDS else item if key == "attributes" else _with_bytes(item, depth + 1)
        for key, item in value.items()
    }


def _id(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise Malformed(f"{key} must be a string of {2 * _IDS[key]} hex digits, got {value!r}")
    try:
        return base64.b64encode(binascii.unhexlify(value)).decode()
    except (binascii.Error, ValueError):
        raise Malformed(f"{key} must be {2 * _IDS[key]} hex digits, got {value!r}") from None
