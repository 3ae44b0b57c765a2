"""Protobuf's wire format, as far as it is needed to join encoded messages without decoding them."""

from __future__ import annotations


def varint(number: int) -> bytes:
    """A length as protobuf writes it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def delimited(field: int, data: bytes) -> bytes:
    """A length-delimited field (a message, string or bytes) with a number below 16."""
    return bytes((field << 3 | 2,)) + varint(len(data)) + data
