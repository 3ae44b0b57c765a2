"""The access line is the same whether it is written at once or goes through `logging`."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from observability.http.access_line import AccessLines, Answered, logger
from observability.logs import handler as logs
from observability.logs.lines import MAX_LINE
from observability.metrics.meters import Families
from observability.testing import settings

IDS = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
PLAIN = Answered("GET", "/cars/<maker>", "/cars/bentz", 200, 14, 0.00123456, "10.0.0.1", "a=1", "curl/8", IDS)


class Stream:
    """A stdout that keeps what is written."""

    def __init__(self) -> None:
        self.text = ""
        self.families = Families()

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        """Nothing is held back."""


@contextmanager
def lines(**overrides: Any) -> Iterator[tuple[AccessLines, Stream]]:
    """Access lines whose handler writes to a Stream; no other handler is there, pytest's own neither."""
    root, stream = logging.getLogger(), Stream()
    before = root.handlers[:]
    root.handlers[:] = []
    undo = logs.install("demo", settings(**overrides), stream.families, stream=stream)  # type: ignore[arg-type]
    try:
        yield AccessLines("demo"), stream
    finally:
        undo()
        root.handlers[:] = before


def both(answered: Answered, error: bool = False) -> tuple[str, str]:
    """The line written at once, if it is, and the line of a record."""
    with lines() as (direct, stream):
        assert logs.sole_handler(logger) is not None
        direct.write(answered, error)
    with lines() as (through, records):
        filtered = logging.Filter()
        logger.addFilter(filtered)
        try:
            assert logs.sole_handler(logger) is None
            through.write(answered, error)
        finally:
            logger.removeFilter(filtered)
    return stream.text, records.text


def without_time(line: str) -> dict[str, Any]:
    assert line.endswith("}\n")
    assert line.count("\n") == 1
    found = json.loads(line)
    assert len(found.pop("timestamp")) == len("2026-11-22T19:00:00.123456Z")
    return dict(found)


odd = st.sampled_from(['say "hi"', "a\nb\r\t\x00", "\\", "\ud800", "grüße/日本", "\u2028"])
secret = st.sampled_from(["token=hunter22", "/token", "a@b", "Basic x", "cookie="])
texts = st.text(max_size=40) | odd | secret


@given(
    st.builds(
        Answered,
        method=st.sampled_from(["GET", "_OTHER"]),
        route=st.sampled_from(["/cars/<maker>", "unmatched", "/naïve/<x>"]),
        path=texts,
        status=st.integers(0, 999),
        size=st.integers(0, 10**12),
        seconds=st.floats(0, 1e6),
        address=st.none() | texts,
        query=st.none() | texts.filter(bool),
        agent=st.none() | texts.filter(bool),
        ids=st.none() | st.just(IDS),
    )
)
@hypothesis_settings(max_examples=30, deadline=None)
def test_both_ways_give_the_same_line(answered: Answered) -> None:
    direct, through = both(answered)
    assert without_time(direct) == without_time(through)


def test_a_plain_line_needs_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.Logger, "makeRecord", None)
    with lines() as (access, stream):
        access.write(PLAIN)
    assert without_time(stream.text)["http.server.request.duration"] == 0.001235


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("method", "PUT"),
        ("route", "/other"),
        ("path", "/other"),
        ("status", 201),
        ("size", 7),
        ("address", None),
        ("query", None),
        ("agent", "wrk"),
        ("ids", None),
    ],
)
def test_a_line_says_nothing_of_the_one_before(field: str, other: Any) -> None:
    changed = PLAIN._replace(**{field: other})
    with lines() as (access, stream):
        access.write(PLAIN)
        access.write(changed)
    _, through = both(changed)
    assert without_time(stream.text.splitlines(keepends=True)[1]) == without_time(through)


def test_a_line_that_is_too_long_is_shortened() -> None:
    long = "\x01" * 1024
    for line in both(PLAIN._replace(path=long, query=long, agent=long[:256])):
        assert len(line.encode()) <= MAX_LINE + 1
        json.loads(line)


def test_a_failure_carries_its_exception() -> None:
    with lines() as (access, stream):
        try:
            raise OSError("the disk is gone")
        except OSError:
            access.write(PLAIN, error=True)
    line = json.loads(stream.text)
    assert (line["severity"], line["exception.message"]) == ("ERROR", "the disk is gone")


def test_console_lines_stay_console_lines() -> None:
    with lines(log_format="console") as (access, stream):
        access.write(PLAIN)
    assert "GET /cars/bentz 200" in stream.text
    assert not stream.text.startswith("{")


def test_another_handler_sees_every_line_as_a_record() -> None:
    seen: list[logging.LogRecord] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    keeper = Keeper()
    for where in (logging.getLogger(), logging.getLogger("observability"), logger):
        with lines() as (access, stream):
            where.addHandler(keeper)
            try:
                access.write(PLAIN)
            finally:
                where.removeHandler(keeper)
            assert seen.pop().getMessage() == "GET /cars/bentz 200"
            assert "GET /cars/bentz 200" in stream.text
