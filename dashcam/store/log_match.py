"""Whether a log line matches a search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from dashcam.store.blocks import (
    ID_LENGTH,
    LogBlock,
    is_hex,
    is_numeric,
    is_phrase,
    listed,
    lowered,
    pieces,
)
from dashcam.store.needles import AllOf
from dashcam.store.values import plain_text


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
        return self.matches_every_line and not self.after

    @property
    def matches_every_line(self) -> bool:
        """Whether no line need be read: nothing is asked of its text."""
        return not (self.terms or self.fields or self.trace)


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
    """What the words and phrases of a block must be for a line of it to match.

    A term may begin and end within words. The text of a field is whole words, because quotes, commas or
    braces surround it in the line; of its name the longest word has to do.
    """

    def __init__(self, query: LogQuery) -> None:
        parts = {part for term in query.terms for part in listed(term)}
        for name, text in query.fields:
            words = [*pieces(_as_written(text)), *sorted(pieces(name), key=len)[-1:]]
            parts |= {b"\n%b\n" % word for word in words}
        ids = {part for part in parts if len(part) > ID_LENGTH and part[:1] == part[-1:] == b"\n"}
        ids = {part for part in ids if is_hex(part.strip(b"\n"))}
        self._ids = AllOf([part] for part in ids)
        self._parts = AllOf([part] for part in sorted(parts - ids, key=len, reverse=True))
        self._parts_of_ids = any(_may_be_in_id(part) for part in parts - ids)
        phrases = [phrase for term in query.terms for phrase in _within_phrase(term)]
        phrases += [b"\n%b\n" % part for _, text in query.fields for part in _whole_phrases(text)]
        self._phrases = AllOf([phrase] for phrase in phrases)

    def __bool__(self) -> bool:
        return bool(self._parts or self._ids or self._phrases)

    @property
    def needs_ids(self) -> bool:
        """Whether the ids must be looked at as well."""
        return self._parts_of_ids or bool(self._ids)

    @property
    def needs_phrases(self) -> bool:
        """Whether the phrases must be looked at as well: first, for they rule out most blocks."""
        return bool(self._phrases)

    def allows_phrases(self, phrases: bytes) -> bool:
        """Whether a block with this list of phrases can hold a match."""
        return self._phrases.within(phrases)

    def allows(self, words: bytes, ids: bytes) -> bool:
        """Whether a block with these lists of words and ids can hold a match."""
        return self._ids.within(ids) and self._parts.within(words + ids if self._parts_of_ids else words)


def matching(block: LogBlock, first: int, query: LogQuery) -> Iterator[tuple[int, str]]:
    """The (index, line) of the lines of a block that match, in the order of their seq.

    `first` is the seq of the block's first line.
    """
    lines, candidates = _candidates(block, query)
    for i in heads(block, first, query, candidates):
        if query.matches_every_line or line_matches(orjson.loads(lines[i]), query):
            yield i, lines[i]


def estimated(block: LogBlock, first: int, query: LogQuery, most: int) -> Iterator[tuple[int, float]]:
    """As matching, looking at `most` lines or a few more; (index, how many lines it stands for)."""
    lines, candidates = _candidates(block, query)
    likely = list(heads(block, first, query, candidates))
    looked_at = likely[:: max(1, len(likely) // most)]
    for i in looked_at:
        if query.matches_every_line or line_matches(orjson.loads(lines[i]), query):
            yield i, len(likely) / len(looked_at)


def _candidates(block: LogBlock, query: LogQuery) -> tuple[list[str], Sequence[int]]:
    """The lines of a block, and the indexes of those in which the texts asked for stand somewhere."""
    # A list or object stands in the line as itself, not as the text that it is compared as.
    written = [_as_written(text).encode() for _, text in query.fields if text[:1] not in ("[", "{")]
    if any(text not in block.text for text in written):
        return [], ()
    text = block.text.decode()
    needles = {needle for term in query.terms for needle in _needles(term)}
    needles |= {text.decode().lower() for text in written}
    if query.trace:
        needles.add(query.trace.hex().lstrip("0"))
    lines = text.split("\n")
    if not needles:
        return lines, range(len(lines))
    whole = text.lower()
    if any(needle not in whole for needle in needles):
        return [], ()
    in_lower_case = whole.split("\n")
    candidates: Sequence[int] = range(len(lines))
    for needle in sorted(needles, key=len, reverse=True):
        candidates = [i for i in candidates if needle in in_lower_case[i]]
    return lines, candidates


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
    """Whether an id may hold a part that :func:`listed` found, which is no whole word as long as an id."""
    word = part.strip(b"\n")
    return is_hex(word) and part != b"\n%b\n" % word


def _within_phrase(term: str) -> list[bytes]:
    """What a phrase of a block holds if one of its lines has a value with the term: the term, or nothing.

    Nothing is known of one word, which need be in no phrase, of what may be in a number, nor of what JSON
    writes in another way.
    """
    text = term.encode(errors="replace")
    if len(pieces(term)) < 2 or is_numeric(text) or _as_written(term) != term:
        return []
    return [text]


def _whole_phrases(text: str) -> list[bytes]:
    """The phrases of each line that has a field with this text; none where it may be a list or an object."""
    if text[:1] in ("[", "{"):
        return []
    return [part for part in lowered(_as_written(text).encode()).split(b'"') if is_phrase(part)]


def _as_written(text: str) -> str:
    """A text as it stands in the JSON of a line, without the quotes around it."""
    return orjson.dumps(text.encode(errors="replace").decode()).decode()[1:-1]
