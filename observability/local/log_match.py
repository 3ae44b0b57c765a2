"""Whether a log line matches a search."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from observability.local.blocks import (
    ID_LENGTH,
    LogBlock,
    has_word,
    is_hex,
    is_phrase,
    listed,
    phrase_token,
    pieces,
)
from observability.local.needles import AllOf
from observability.local.values import plain_text


@dataclass(frozen=True)
class LogQuery:
    """What is asked. Times in microseconds, both ends included; `level` a severity number and above."""

    services: frozenset[str] = frozenset()
    trace: bytes = b""
    level: int = 0
    terms: tuple[str, ...] = ()
    """Lower-case texts that must all be in the values of a line."""
    fields: tuple[tuple[str, str], ...] = ()
    """Names and the text that the value of each must be."""
    start: int = -(2**63)
    end: int = 2**63 - 1
    after: int = 0
    """Only lines stored later than this one, by seq."""
    before: tuple[int, int] | None = None
    """Only lines older than this one, by (time, seq)."""
    limit: int = 100
    newest_first: bool = True

    @property
    def plain(self) -> bool:
        """Whether counts by service and level answer it for a block that lies within its times."""
        return not (self.terms or self.fields or self.trace or self.after)


def split_terms(text: str) -> tuple[str, ...]:
    """The terms of a `q`: separated by spaces, `"…"` holds several words together.

    A quote that is never closed is an ordinary character.
    """
    terms: list[str] = []
    parts = text.split('"')
    if len(parts) % 2 == 0:
        parts[-2:] = ['"'.join(parts[-2:])]
    for i, part in enumerate(parts):
        terms += [part] if i % 2 else part.split()
    return tuple(term.lower() for term in terms if term.strip())


class WordFilter:
    """What the words of a block must be for a line of it to match.

    A term may begin and end within words. The text of a field is whole words, because quotes, commas or
    braces surround it in the line.
    """

    def __init__(self, query: LogQuery) -> None:
        parts = {piece for term in query.terms for piece in listed(term)}
        whole = {piece for name, text in query.fields for piece in pieces(f"{name} {_as_written(text)}")}
        self._ids = [word for word in whole if len(word) >= ID_LENGTH and is_hex(word)]
        self._words = sorted(whole.difference(self._ids), key=len, reverse=True)
        self._parts = AllOf([part] for part in sorted(parts, key=len, reverse=True))
        self._parts_of_ids = any(_may_be_in_id(part) for part in parts)
        self.phrases = [phrase_token(part) for _, text in query.fields for part in _phrases(text)]
        """Tokens that the block's phrases must have, all of them."""

    def __bool__(self) -> bool:
        return bool(self._parts or self._words or self._ids)

    @property
    def needs_ids(self) -> bool:
        """Whether the ids must be looked at as well."""
        return self._parts_of_ids or bool(self._ids)

    def allows(self, words: bytes, ids: bytes) -> bool:
        """Whether a block with these words and ids can hold a match."""
        for i, word in enumerate(self._words):
            if not has_word(words, word):
                # It is the rarest so far: what is tried first next time.
                self._words.insert(0, self._words.pop(i))
                return False
        return all(has_word(ids, word) for word in self._ids) and (
            not self._parts or self._parts.within(words + ids if self._parts_of_ids else words)
        )


def matching(block: LogBlock, first: int, query: LogQuery) -> Iterator[tuple[int, str]]:
    """The (index, line) of the lines of a block that match, in the order of their seq.

    `first` is the seq of the block's first line.
    """
    # A list or object stands in the line as itself, not as the text that it is compared as.
    written = [_as_written(text).encode() for _, text in query.fields if text[:1] not in ("[", "{")]
    if any(text not in block.text for text in written):
        return
    text = block.text.decode()
    lines = text.split("\n")
    candidates: Sequence[int] = range(len(lines))
    needles = {needle for term in query.terms for needle in _needles(term)}
    needles |= {text.decode().lower() for text in written}
    if query.trace:
        needles.add(query.trace.hex().lstrip("0"))
    if needles:
        whole = text.lower()
        if any(needle not in whole for needle in needles):
            return
        lowered = whole.split("\n")
        for needle in sorted(needles, key=len, reverse=True):
            candidates = [i for i in candidates if needle in lowered[i]]
    unconditional = not (query.terms or query.fields or query.trace)
    for i in heads(block, first, query, candidates):
        if unconditional or line_matches(orjson.loads(lines[i]), query):
            yield i, lines[i]


def heads(block: LogBlock, first: int, query: LogQuery, candidates: Sequence[int]) -> Iterator[int]:
    """Those of the candidates whose time, level, service and seq fit."""
    wanted = {i for i, name in enumerate(block.services) if not query.services or name in query.services}
    for i in candidates:
        if (
            query.start <= block.times[i] <= query.end
            and block.levels[i] >= query.level
            and block.service_indexes[i] in wanted
            and first + i > query.after
        ):
            yield i


def line_matches(fields: dict[str, Any], query: LogQuery) -> bool:
    """Whether the fields of a line fit the query's trace, fields and terms."""
    if query.trace and str(fields.get("trace_id", "")).lower().rjust(32, "0") != query.trace.hex():
        return False
    if any(text not in _texts(fields, name) for name, text in query.fields):
        return False
    if not query.terms:
        return True
    text = searchable(fields)
    return all(term in text for term in query.terms)


def searchable(fields: Any) -> str:
    """The lower-case text of a line's values that terms are looked for in; names are not searched."""
    parts: list[str] = []
    todo: list[Any] = [fields]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, list):
            todo += value
        else:
            parts.append(plain_text(value))
    return "\n".join(reversed(parts)).lower()


def _texts(fields: dict[str, Any], name: str) -> list[str]:
    """The texts of a field: by its own name, or by the path of names that leads into nested objects."""
    texts = [plain_text(fields[name])] if name in fields else []
    head, dot, rest = name.partition(".")
    while dot:
        if isinstance(inner := fields.get(head), dict):
            texts += _texts(inner, rest)
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return texts


def _needles(term: str) -> list[str]:
    """Texts that a line holds, in lower case, if one of its values holds the term."""
    if _as_written(term) == term:
        return [term]
    return [piece.decode(errors="replace") for piece in pieces(term)]


def _may_be_in_id(part: bytes) -> bool:
    """Whether an id may hold a part that :func:`listed` found."""
    word = part.strip(b"\n")
    return is_hex(word) and (len(word) >= ID_LENGTH or part != b"\n%b\n" % word)


def _phrases(text: str) -> list[bytes]:
    """What stands between quotes in each line that has a field with this text, where that is certain.

    It is not for what may be a number, a list or an object.
    """
    with contextlib.suppress(ValueError):
        float(text)
        return []
    if text[:1] in ("[", "{"):
        return []
    return [part for part in _as_written(text).encode().split(b'"') if is_phrase(part)]


def _as_written(text: str) -> str:
    """A text as it stands in the JSON of a line, without the quotes around it."""
    return orjson.dumps(text.encode(errors="replace").decode()).decode()[1:-1]
