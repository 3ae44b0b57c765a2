"""Query parameters as Jaeger reads them. Every error names the parameter and its value."""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import re
from collections.abc import Iterable
from fractions import Fraction

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_DURATION = re.compile(r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+")
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_INTEGER = re.compile(r"[-+]?\d+")
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:[.,](\d{1,9}))?\d*([Zz]|[-+]\d\d:\d\d)")

INT64 = 2**63 - 1


class BadParameter(ValueError):
    """A parameter that cannot be read; the answer is 400."""


def duration(name: str, text: str) -> int:
    """A Go duration (`1.5s`, `100ms`, `2h45m`) in nanoseconds. Zero needs no unit."""
    if text in ("0", "+0", "-0"):
        return 0
    if not _DURATION.fullmatch(text):
        raise BadParameter(f"unable to parse param '{name}': time: {_duration_fault(text)}")
    total = int(sum(Fraction(number) * _UNITS[unit] for number, unit in _PART.findall(_padded(text))))
    if total > INT64:
        raise BadParameter(f"unable to parse param '{name}': time: invalid duration {_quoted(text)}")
    return -total if text.startswith("-") else total


def integer(name: str, text: str, bits: int = 64) -> int:
    """A whole number of so many bits."""
    if not _INTEGER.fullmatch(text) or not text.isascii():
        raise BadParameter(
            f"unable to parse param '{name}': strconv.ParseInt: parsing {_quoted(text)}: invalid syntax"
        )
    number = int(text) if len(text) < 30 else 2**99
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise BadParameter(
            f"unable to parse param '{name}': strconv.ParseInt: parsing {_quoted(text)}: value out of range"
        )
    return number


def boolean(name: str, text: str) -> bool:
    """A boolean in one of Go's spellings."""
    if text not in _TRUE | _FALSE:
        raise BadParameter(
            f"unable to parse param '{name}': strconv.ParseBool: parsing {_quoted(text)}: invalid syntax"
        )
    return text in _TRUE


def trace_id(text: str) -> bytes:
    """A trace id of up to 32 hex digits, padded on the left with zeros, or 16 bytes in base64."""
    try:
        if 0 < len(text) <= 32:
            return binascii.unhexlify(text.rjust(32, "0"))
    except (binascii.Error, ValueError):
        pass
    if len(text) <= 24:
        try:
            decoded = base64.b64decode(
                text.replace("-", "+").replace("_", "/").rstrip("=") + "=" * (-len(text.rstrip("=")) % 4),
                validate=True,
            )
        except (binascii.Error, ValueError):
            decoded = b""
        if len(decoded) == 16:
            return decoded
    raise BadParameter(f"TraceID cannot be parsed: {_quoted(text)}: give up to 32 hex digits")


def timestamp(name: str, text: str) -> int:
    """An RFC 3339 time in nanoseconds since the epoch."""
    match = _RFC3339.fullmatch(text)
    if match:
        try:
            whole = datetime.datetime.fromisoformat(text[:19].upper() + match[2].upper())
            return int(whole.timestamp()) * 1_000_000_000 + int((match[1] or "").ljust(9, "0"))
        except (ValueError, OverflowError):
            pass
    raise BadParameter(f"malformed parameter {name}: {_quoted(text)} is not an RFC 3339 time")


def tags(simple: Iterable[str], documents: Iterable[str]) -> dict[str, str]:
    """Tags of `tag=key:value` parameters and of `tags={"key":"value"}` ones, which win."""
    found: dict[str, str] = {}
    for tag in simple:
        key, colon, value = tag.partition(":")
        if not colon:
            raise BadParameter(f"malformed 'tag' parameter, expecting key:value, received: {tag}")
        found[key] = value
    for document in documents:
        found |= string_map("tags", document)
    return found


def string_map(name: str, document: str) -> dict[str, str]:
    """A JSON object of strings."""
    try:
        parsed = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise BadParameter(f"malformed '{name}' parameter, cannot unmarshal JSON: {error}") from None
    if parsed is None:
        return {}
    if not isinstance(parsed, dict):
        raise BadParameter(f"malformed '{name}' parameter: give a JSON object, got {document}")
    for key, value in parsed.items():
        if not isinstance(value, str):
            raise BadParameter(
                f"malformed '{name}' parameter, cannot unmarshal JSON:"
                f" the value of {json.dumps(key)} must be a string, got {json.dumps(value)}"
            )
    return parsed


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _duration_fault(text: str) -> str:
    """What is wrong with a duration, in Go's words."""
    number = re.match(r"[-+]?(?:\d+\.?\d*|\.\d+)", text)
    if number is None:
        return f"invalid duration {_quoted(text)}"
    rest = _PART.sub("", text.lstrip("+-")).lstrip("0123456789.")
    unit = re.match(r"[^\d.]*", rest)
    if unit is None or not unit[0]:
        return f"missing unit in duration {_quoted(text)}"
    return f"unknown unit {_quoted(unit[0])} in duration {_quoted(text)}"


def _padded(text: str) -> str:
    """Numbers as Fraction reads them: Go allows `1.s` and `.5s`."""
    return re.sub(r"(\d)\.(?=[a-zµμ])", r"\1", re.sub(r"(?<!\d)\.", "0.", text))
