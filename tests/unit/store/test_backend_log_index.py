"""What is kept beside a block of lines may only rule out blocks that hold no match."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashcam.store import blocks
from dashcam.store.log_lines import parse_line
from dashcam.store.log_match import (
    LogQuery,
    WordFilter,
    line_matches,
    matching,
    searchable,
    split_terms,
)

VALUES = (
    "/cars/maker-7/model-1234",
    "[main] started up",
    "{model} of {maker}",
    ":x y, z",
    'say "a b" twice',
    "two\nlines \\ more",
    "2026-11-22T15:06:40Z",
    "0af7651916cd43dd8448eb211c80319c",
    "10.0.0.1 - a",
    "0.5",
    "-3",
)
TEXT = st.text(alphabet='abF09 ":,{}[]\\/\n\t-_.\x7fßİ💥', max_size=24) | st.sampled_from(VALUES)
VALUE = st.recursive(
    TEXT | st.integers(-999, 10**6) | st.integers(-99, 99).map(lambda n: n / 4) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
LINE = st.dictionaries(st.sampled_from(["message", "url.path", "a", "a.b", "user name"]), VALUE, min_size=1)


def block_of(lines):
    """The lines as a file has them (some with spaces between, as json.dumps writes), and their block."""
    rows = [
        parse_line(
            (orjson.dumps(line) if i % 2 else json.dumps(line, ensure_ascii=False).encode()), "car", 1_000_000
        )
        for i, line in enumerate(lines)
    ]
    payload, services = blocks.pack_logs(rows)
    return [row.line for row in rows], blocks.unpack_logs(payload, len(rows), services)


def found(stored, block, query):
    """The lines that a search finds in the block, the first look at its words and phrases included."""
    look = WordFilter(query)
    text = blocks.lowered(block.text)
    words = blocks.words(text)
    ids = {word for word in words if len(word) >= blocks.ID_LENGTH and blocks.is_hex(word)}
    if not look.allows(blocks.join_words(words - ids), blocks.join_words(ids)):
        return []
    if not look.allows_phrases(blocks.join_words(blocks.phrases(text))):
        return []
    return [stored[i] for i, _ in matching(block, 1, query)]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(LINE, min_size=1, max_size=4), st.data())
def test_no_line_is_missed_by_a_field_or_a_part_of_its_text(lines, data):
    stored, block = block_of(lines)
    name, value = data.draw(st.sampled_from(sorted(lines[0].items(), key=repr)))
    text = searchable(value)
    first, last = sorted((data.draw(st.integers(0, len(text))), data.draw(st.integers(0, len(text)))))
    for query in (
        LogQuery(fields=((name, value),) if isinstance(value, str) else ()),
        LogQuery(terms=split_terms(text[first:last])),
        LogQuery(terms=tuple(part for part in [text[first:last]] if part.strip())),
    ):
        expected = [line for line in stored if line_matches(orjson.loads(line), query)]
        assert found(stored, block, query) == expected


@pytest.mark.parametrize("value", VALUES)
def test_every_part_of_a_text_finds_it(value):
    stored, block = block_of([{"message": value}, {"message": "another"}])
    text = value.lower()
    for first in range(len(text)):
        for last in range(first + 1, len(text) + 1):
            if text[first:last].strip():
                query = LogQuery(terms=(text[first:last],))
                assert stored[0] in found(stored, block, query), text[first:last]


def test_a_rare_text_of_several_common_words_is_looked_for_only_where_it_is():
    routes = [{"url.path": f"/Cars/maker-{i % 9}/model-{i}"} for i in range(100)]
    text = blocks.lowered(b"\n".join(orjson.dumps(line) for line in routes))
    phrases = blocks.join_words(blocks.phrases(text))

    def allowed(field=None, term=None):
        fields = (("url.path", field),) if field else ()
        return WordFilter(LogQuery(fields=fields, terms=(term,) if term else ())).allows_phrases(phrases)

    assert allowed(field="/Cars/maker-7/model-34")
    assert not allowed(field="/Cars/maker-8/model-34")
    assert not allowed(field="/Cars/maker-7/model-3")
    assert allowed(term="ars/maker-7/model-3")
    assert not allowed(term="ars/maker-8/model-34")


def test_a_term_that_goes_on_beyond_a_word_is_looked_for_where_words_end():
    words = blocks.join_words({b"cars", b"maker", b"17", b"model", b"12345"})

    def allowed(term):
        return WordFilter(LogQuery(terms=(term,))).allows(words, b"\n\n")

    assert allowed("maker-17/model-123")
    assert allowed("ars/maker")
    assert not allowed("maker-7/model-123")
    assert not allowed("model-2345")
    assert not allowed("ars-make/")
