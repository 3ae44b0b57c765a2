"""OTLP attribute values as Jaeger shows and compares them.

The text of a value follows the Collector's `pcommon.Value.AsString`, which Jaeger uses to compare a
tag's value with the text of a query: integers in decimal, booleans `true`/`false`, doubles as JSON
writes them, bytes in base64, lists and maps as JSON.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_HTML = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def plain(value: AnyValue) -> Any:
    """The value as Python data; bytes stay bytes."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {item.key: plain(item.value) for item in value.kvlist_value.values}
    return getattr(value, kind)


def text(value: AnyValue) -> str:
    """The value as the text that a tag query is compared with."""
    return plain_text(plain(value))


def plain_text(value: Any) -> str:
    """The text of a value made by :func:`plain`."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list | dict):
        return _json(value)
    return str(value)


def float_text(value: float) -> str:
    """A double as Go's JSON encoder writes it: shortest digits, an exponent only below 1e-6 and from 1e21."""
    if not math.isfinite(value):
        name = "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
        return f"json: unsupported value: {name}"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    if 1e-6 <= abs(value) < 1e21:
        digits = repr(value)
        if "e" in digits:
            digits = f"{value:.25f}".rstrip("0") if abs(value) < 1 else f"{value:.0f}"
            digits = _shortest(value, digits)
        return digits.removesuffix(".0")
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        mantissa, _, exponent = f"{value:e}".partition("e")
    return f"{mantissa.removesuffix('.0')}e{'-' if exponent[0] == '-' else '+'}{int(exponent.lstrip('+-'))}"


def tag(key: str, value: AnyValue) -> dict[str, Any]:
    """One attribute as a Jaeger key-value: `{"key", "type", "value"}`.

    An int64 that JavaScript cannot hold is a string, as Jaeger's own JSON has it; bytes are base64, null
    where there are none; lists and maps become JSON text of type string.
    """
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return {"key": key, "type": "string", "value": value.string_value}
    if kind == "bool_value":
        return {"key": key, "type": "bool", "value": value.bool_value}
    if kind == "int_value":
        number = value.int_value
        return {"key": key, "type": "int64", "value": number if abs(number) < 2**53 else str(number)}
    if kind == "double_value":
        return {"key": key, "type": "float64", "value": json_number(value.double_value)}
    if kind == "bytes_value":
        encoded = base64.b64encode(value.bytes_value).decode()
        return {"key": key, "type": "binary", "value": encoded or None}
    return {"key": key, "type": "string", "value": text(value)}


def json_number(number: float) -> float | int | str:
    """A double for JSON: a whole one without a point, as Go writes it; a name for what JSON has not."""
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def string_tag(key: str, value: str) -> dict[str, Any]:
    """A tag of type string."""
    return {"key": key, "type": "string", "value": value}


def find(attributes: Iterable[KeyValue], key: str) -> AnyValue | None:
    """The value of the first attribute of that key, or None."""
    for item in attributes:  # a generator would cost as much again
        if item.key == key:
            return item.value
    return None


def _shortest(value: float, digits: str) -> str:
    """`repr` chose an exponent where JSON does not: move the point of its shortest digits instead."""
    mantissa, _, exponent = repr(value).partition("e")
    sign, mantissa = ("-", mantissa[1:]) if mantissa.startswith("-") else ("", mantissa)
    whole, _, fraction = mantissa.partition(".")
    shift = int(exponent)
    if shift < 0:
        return f"{sign}0.{'0' * (-shift - 1)}{whole}{fraction if fraction != '0' else ''}"
    return sign + (whole + fraction).ljust(len(whole) + shift, "0")


def _json(value: Any) -> str:
    """JSON as Go's encoder writes it: no spaces, map keys sorted, `<`, `>` and `&` escaped.

    Empty bytes are `null`, as Go's nil slice is; a number that JSON has not is text here.
    """
    if isinstance(value, list):
        return f"[{','.join([_json(item) for item in value])}]"
    if isinstance(value, dict):
        return f"{{{','.join([f'{_json(key)}:{_json(value[key])}' for key in sorted(value)])}}}"
    if isinstance(value, bytes):
        return _json(base64.b64encode(value).decode()) if value else "null"
    if isinstance(value, float):
        return float_text(value) if math.isfinite(value) else json.dumps(str(value))
    return json.dumps(value, ensure_ascii=False).translate(_HTML)
