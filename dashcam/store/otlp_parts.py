"""A large OTLP request as several small ones, so that what is parsed at a time is bounded.

A parsed message can take fifty times the room of its bytes. All three requests have the same shape: resources
(field 1), in them the resource (1), scopes (2) and a schema (3), in those the scope (1), the records (2) and
a schema (3). So a request is cut between records without knowing what they are, and each part is a request
of its own with the resource and the scope of its records.
"""

from __future__ import annotations

from collections.abc import Iterator

from dashcam.store.otlp import Malformed, TooLarge
from dashcam.store.wire import delimited

PART = 1024 * 1024
"""Bytes of a request that is parsed as it is, and of the records of a part."""

MOST = 200_000
"""Resources, scopes and records of a request that is cut; each costs room before it is looked at."""


class Parts:
    """The parts of a request, in order. `too_large` counts the records of more than PART bytes, left out.

    Iterating raises Malformed for what is not protobuf, and TooLarge for more elements than MOST and for a
    resource or scope of more than PART bytes.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.too_large = 0

    @property
    def reason(self) -> str:
        """Why those were left out."""
        return f"a record of more than {PART} bytes is not taken"

    def __iter__(self) -> Iterator[bytes]:
        body = self._body
        if len(body) <= PART:
            yield body
            return
        budget = _Budget()
        for first, last in budget.fields(body, 0, len(body), 1):
            resource, scopes = budget.around(body, first, last)
            for scope_first, scope_last in scopes:
                scope, records = budget.around(body, scope_first, scope_last)
                for some in self._runs(records):
                    inside = b"".join([delimited(2, body[begin:end]) for begin, end in some])
                    yield delimited(1, resource + delimited(2, scope + inside))

    def _runs(self, records: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
        """Neighbours that together take about PART bytes."""
        run: list[tuple[int, int]] = []
        size = 0
        for first, last in records:
            if last - first > PART:
                self.too_large += 1
                continue
            if run and size + last - first > PART:
                yield run
                run, size = [], 0
            run.append((first, last))
            size += last - first
        if run:
            yield run


class _Budget:
    """Walks fields and counts them."""

    def __init__(self) -> None:
        self._seen = 0

    def fields(self, body: bytes, first: int, last: int, wanted: int) -> Iterator[tuple[int, int]]:
        """Where the contents of a repeated field lie."""
        for number, begin, end in _delimited_fields(body, first, last):
            if number == wanted:
                self._count()
                yield begin, end

    def around(self, body: bytes, first: int, last: int) -> tuple[bytes, list[tuple[int, int]]]:
        """What stands around the repeated field 2 of a message (fields 1 and 3), and where that field is."""
        shared, inner = [], []
        for number, begin, end in _delimited_fields(body, first, last):
            if number == 2:
                self._count()
                inner.append((begin, end))
            elif number in (1, 3):
                shared.append(delimited(number, _small(body, begin, end)))
        joined = b"".join(shared)
        if len(joined) > PART:
            raise TooLarge(f"a resource or scope takes {len(joined)} bytes, at most {PART} are taken")
        return joined, inner

    def _count(self) -> None:
        self._seen += 1
        if self._seen > MOST:
            raise TooLarge(f"the request has more than {MOST} records; send smaller batches")


def _small(body: bytes, first: int, last: int) -> bytes:
    if last - first > PART:
        raise TooLarge(f"a resource or scope takes {last - first} bytes, at most {PART} are taken")
    return body[first:last]


_FIXED = {1: 8, 5: 4}


def _delimited_fields(body: bytes, at: int, last: int) -> Iterator[tuple[int, int, int]]:
    """The length-delimited fields between two places: number, where the content begins and where it ends."""
    while at < last:
        tag, at = _varint(body, at, last)
        kind = tag & 7
        if kind == 2:
            length, at = _varint(body, at, last)
            if length > last - at:
                raise Malformed(f"not protobuf: a field of {length} bytes where {last - at} are left")
            yield tag >> 3, at, at + length
            at += length
        elif kind == 0:
            _, at = _varint(body, at, last)
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:
            raise Malformed(f"not protobuf: wire type {kind}")
    if at > last:
        raise Malformed("not protobuf: it ends within a field")


def _varint(body: bytes, at: int, last: int) -> tuple[int, int]:
    number = shift = 0
    while at < last and shift < 70:
        byte = body[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise Malformed("not protobuf: a number without an end")
