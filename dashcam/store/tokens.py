"""Tokens: four bytes that stand for one tag of one service, and answer "cannot be in here" quickly.

A token is the CRC-32 of a tag's protobuf encoding, seeded with the service's name. The tokens of a
span, and the set of those of a block, lie concatenated in a BLOB that SQLite's `instr` looks through.
A hit may be a collision, so a match is always confirmed on the decoded span; a miss is certain.

Encoding keeps a value's type while a query has only text, so a query tries each type its text may be.
"""

from __future__ import annotations

import base64
import contextlib
import zlib

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


def seed(service: str) -> int:
    """What the tokens of a service start from."""
    return zlib.crc32(service.encode())


def token(encoded: bytes, start: int) -> bytes:
    """The token of an encoded `KeyValue`."""
    return zlib.crc32(encoded, start).to_bytes(4, "big")


def string_token(key: str, value: str, start: int) -> bytes:
    """The token of a tag whose value is a string."""
    return token(KeyValue(key=key, value=AnyValue(string_value=value)).SerializeToString(), start)


def candidates(key: str, text: str, service: str) -> list[bytes]:
    """The tokens that a tag whose value reads as `text`, and is no list or map, can have in a service."""
    start = seed(service)
    values = [AnyValue(string_value=text), *_typed(text)]
    encoded = {KeyValue(key=key, value=value).SerializeToString() for value in values}
    if text == "":
        encoded.add(KeyValue(key=key).SerializeToString())
        encoded.add(KeyValue(key=key, value=AnyValue()).SerializeToString())
    return sorted(token(item, start) for item in encoded)


def _typed(text: str) -> list[AnyValue]:
    values: list[AnyValue] = []
    if text in ("true", "false"):
        values.append(AnyValue(bool_value=text == "true"))
    number = _integer(text)
    if number is not None:
        values.append(AnyValue(int_value=number))
    with contextlib.suppress(ValueError):
        values.append(AnyValue(double_value=float(text)))
    with contextlib.suppress(ValueError):
        values.append(AnyValue(bytes_value=base64.b64decode(text, validate=True)))
    return values


def _integer(text: str) -> int | None:
    try:
        number = int(text)
    except ValueError:
        return None
    return number if -(2**63) <= number < 2**63 else None
