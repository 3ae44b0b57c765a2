"""Blocks: how records lie together in a compressed payload, and what summarises them.

A span payload is a zlib stream of an OTLP `TracesData`, spans in the order of their seq. A log
payload is a zlib stream of the times (int64), levels (byte) and service indexes (uint16) of its
lines, then the lines as JSON, separated by newlines. Joining two payloads joins two blocks.
"""

from __future__ import annotations

import re
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from dashcam.store.records import LogRow, SpanRow
from dashcam.store.wire import delimited

SPANS = 128
"""Spans of a full block."""

LINES = 256
"""Lines of a full block."""

BYTES = 512 * 1024
"""Bytes of encoded records from which a block is full, whatever their number."""

ID_LENGTH = 16
"""Words of at least so many hex digits are listed apart, as ids."""

_LEVEL = 1
_COUNTED = 64 * 1024
_SEPARATORS = bytes(c if c >= 128 or chr(c).isalnum() else 32 for c in range(256))
"""A table for bytes.translate that turns ASCII punctuation and control characters into spaces."""

_WORD = re.compile(rb"[0-9A-Za-z\x80-\xff]+")


class Damaged(Exception):
    """A payload that is not what was written: a flipped bit, a lost sector."""


def _unzipped(payload: bytes) -> bytes:
    try:
        return zlib.decompress(payload)
    except zlib.error as error:
        raise Damaged(str(error)) from None


class Small(NamedTuple):
    """A block that may be merged: the seq of its first record, how many it has, and their bytes."""

    id: int
    n: int
    size: int


def is_full(some: Iterable[Small], most: int) -> bool:
    """Whether blocks hold `most` records together, or BYTES."""
    held = list(some)
    return sum(one.n for one in held) >= most or sum(one.size for one in held) >= BYTES


def span_bytes(rows: Sequence[SpanRow]) -> list[int]:
    """What each of these takes in a payload that begins with the first; a group counts where it begins."""
    sizes: list[int] = []
    before = None
    for row in rows:
        sizes.append(len(row.encoded) + (0 if row.group is before else sum(map(len, row.group))))
        before = row.group
    return sizes


def runs(sizes: Sequence[int], most: int) -> Iterator[tuple[int, int, int]]:
    """Records as blocks: (first, behind the last, bytes). One ends with `most` records or BYTES."""
    first = size = 0
    for place, one in enumerate(sizes):
        if place > first and (place - first >= most or size + one > BYTES):
            yield first, place, size
            first, size = place, 0
        size += one
    if sizes:
        yield first, len(sizes), size


def raw_bytes(payload: bytes) -> int:
    """What a payload takes when it is unpacked; counted in small pieces. Raises Damaged."""
    stream, size = zlib.decompressobj(), 0
    try:
        while payload and not stream.eof:
            size += len(stream.decompress(payload, _COUNTED))
            payload = stream.unconsumed_tail
    except zlib.error as error:
        raise Damaged(str(error)) from None
    return size


def pack_spans(rows: Sequence[SpanRow]) -> bytes:
    """The payload of spans; neighbours that share resource and scope share them here as well."""
    parts: list[bytes] = []
    first = 0
    for i in range(1, len(rows) + 1):
        if i == len(rows) or rows[i].group is not rows[first].group:
            group = rows[first].group
            spans = b"".join([delimited(2, row.encoded) for row in rows[first:i]])
            scope = delimited(2, group.scope + spans + group.scope_schema)
            parts.append(delimited(1, group.resource + scope + group.resource_schema))
            first = i
    return zlib.compress(b"".join(parts), _LEVEL)


def unpack_spans(payload: bytes) -> TracesData:
    """The message of a span payload."""
    try:
        return TracesData.FromString(_unzipped(payload))
    except DecodeError as error:
        raise Damaged(str(error)) from None


def join_spans(payloads: Iterable[bytes]) -> bytes:
    """One payload of several; protobuf joins repeated fields by concatenation."""
    return zlib.compress(b"".join([_unzipped(payload) for payload in payloads]), _LEVEL)


def join_tokens(blobs: Iterable[bytes]) -> bytes:
    """The set of the four-byte tokens in some BLOBs, concatenated."""
    tokens = {blob[i : i + 4] for blob in blobs for i in range(0, len(blob), 4)}
    return b"".join(sorted(tokens))


@dataclass
class LogBlock:
    """The lines of a block, decoded as far as filtering needs."""

    times: Sequence[int]
    levels: bytes
    service_indexes: Sequence[int]
    services: Sequence[str]
    text: bytes
    """The lines as JSON in UTF-8, in the order of their seq, separated by newlines."""


def pack_logs(rows: Sequence[LogRow]) -> tuple[bytes, list[str]]:
    """The payload of lines and the services its indexes mean."""
    services = sorted({row.service for row in rows})
    index = {service: i for i, service in enumerate(services)}
    block = LogBlock(
        array("q", [row.time for row in rows]),
        bytes([row.level for row in rows]),
        array("H", [index[row.service] for row in rows]),
        services,
        b"",
    )
    return _pack(block, b"\n".join([row.line for row in rows])), services


def unpack_logs(payload: bytes, n: int, services: Sequence[str]) -> LogBlock:
    """The `n` lines of a log payload."""
    return _log_block(_unzipped(payload), n, services)


def join_logs(blocks: Sequence[LogBlock]) -> tuple[bytes, list[str]]:
    """One payload of several blocks, and its services."""
    services = sorted({service for block in blocks for service in block.services})
    index = {service: i for i, service in enumerate(services)}
    joined = LogBlock(
        array("q", [time for block in blocks for time in block.times]),
        b"".join([block.levels for block in blocks]),
        array("H", [index[block.services[i]] for block in blocks for i in block.service_indexes]),
        services,
        b"",
    )
    return _pack(joined, b"\n".join([block.text for block in blocks])), services


def log_times(payload: bytes, n: int, services: Sequence[str]) -> LogBlock:
    """As unpack_logs, without the lines: their times, levels and services lie in front."""
    try:
        return _log_block(zlib.decompressobj().decompress(payload, 11 * n), n, services)
    except zlib.error as error:
        raise Damaged(str(error)) from None


def lowered(text: bytes) -> bytes:
    """A UTF-8 text in lower case, as searches compare it."""
    return text.decode(errors="replace").lower().encode()


def words(text: bytes) -> set[bytes]:
    """The words of a text made by :func:`lowered`: runs of ASCII letters and digits and of all non-ASCII."""
    return set(text.translate(_SEPARATORS).split())


def is_hex(word: bytes) -> bool:
    """Whether a word is made of hex digits, so that it may be an id or a part of one."""
    return not word.translate(None, b"0123456789abcdef")


def join_words(found: Iterable[bytes]) -> bytes:
    """Distinct words, sorted, each between newlines."""
    return b"\n" + b"\n".join(sorted(found)) + b"\n"


def pieces(text: str) -> list[bytes]:
    """The words of a search term: a line can hold the term only if its block has a word with each."""
    return text.lower().encode(errors="replace").translate(_SEPARATORS).split()


def listed(term: str) -> list[bytes]:
    """As pieces, with a newline before and after where only the beginning or end of a word will do.

    The first and the last may be parts of words, unless the term goes on beyond them. A control character
    does not begin a word: JSON writes it as a backslash and letters.
    """
    found: list[bytes] = []
    text = term.lower().encode(errors="replace")
    for match in _WORD.finditer(text):
        before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        found.append((b"\n" if before >= b" " else b"") + match[0] + (b"\n" if after else b""))
    return found


def phrases(text: bytes) -> set[bytes]:
    """The distinct texts of several words that stand between quotes in JSON lines made by :func:`lowered`."""
    return {part for part in set(text.split(b'"')) if is_phrase(part)}


def is_phrase(part: bytes) -> bool:
    """Whether a text that may stand between two quotes is listed whole.

    One word is not, because words are listed; nor are numbers and moments, of which each line has others.
    """
    return not part.isalnum() and not is_numeric(part)


def is_numeric(part: bytes) -> bool:
    """Whether a text may be numbers or a moment, or a part of such, with the JSON around it."""
    return not part.translate(None, b"0123456789eEtTzZ:.+-, {}[]\n")


def _log_block(data: bytes, n: int, services: Sequence[str]) -> LogBlock:
    if len(data) < 11 * n:
        raise Damaged(f"{len(data)} bytes are too few for {n} lines")
    times, indexes = array("q"), array("H")
    times.frombytes(data[: 8 * n])
    indexes.frombytes(data[9 * n : 11 * n])
    return LogBlock(times, data[8 * n : 9 * n], indexes, services, data[11 * n :])


def _pack(block: LogBlock, text: bytes) -> bytes:
    times, indexes = array("q", block.times), array("H", block.service_indexes)
    return zlib.compress(times.tobytes() + block.levels + indexes.tobytes() + text, _LEVEL)
