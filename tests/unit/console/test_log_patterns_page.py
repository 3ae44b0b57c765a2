"""The page of log patterns: lines that say the same are one row, new and severe ones on top."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import recorded
from recorded import START, Recorded

from dashcam.console.pages.patterns import READ, by_pattern
from dashcam.console.parameters import Window
from dashcam.model.logs import LogLine

WINDOW = Window(START, START + 24_000_000, "custom")


def line(message: str, second: int = 0, **fields: Any) -> LogLine:
    return LogLine(recorded.line(message, second, **fields))


def test_lines_that_differ_in_what_varies_are_one_pattern() -> None:
    lines = [line(f"took {number} ms for 'car {number}'", number) for number in range(20)]
    (one,) = by_pattern(lines, WINDOW, [])
    assert (one.text, one.count, sum(one.parts)) == ("took * ms for *", 20, 20)
    assert one.words == "ms for"
    assert one.parts[:3] == [1, 1, 1]


def test_new_ones_come_first_then_the_severe_then_the_frequent() -> None:
    lines = [
        *(line(f"often {number}") for number in range(9)),
        line("sad", severity="ERROR"),
        line("quite new"),
        line("often 9", service="other"),
    ]
    before = [line("often 1"), line("often 2"), line("sad"), line("often 3", service="other")]
    found = by_pattern(lines, WINDOW, before)
    assert [(one.service, one.text, one.before) for one in found] == [
        ("car", "quite new", 0),
        ("car", "sad", 1),
        ("car", "often *", 2),
        ("other", "often *", 1),
    ]


def test_nothing_is_called_new_where_the_time_before_is_not_known() -> None:
    (one,) = by_pattern([line("x")], WINDOW, None)
    assert one.before is None


def pages(total_before: int) -> Recorded:
    def answer(params: Mapping[str, Any], json: Any) -> Any:
        now = int(params["end"]) > START
        found = recorded.log_lines() if now else []
        total = len(found) if now else total_before
        return {"logs": found, "total": total, "total_relation": "eq", "next": None, "latest": 7}

    return Recorded(recorded.log_answers() | {"/api/logs": answer})


def test_the_page_links_to_its_lines_and_says_what_is_new(open_console: Any, markup: Any) -> None:
    path = f"/logs/patterns?start={START}&end={START + 10_000_000}&lookback=custom"
    page = open_console(logs=pages(0)).get(path).text
    assert "GET /price *" in page
    assert page.count(">new<") == 2
    assert re.search(r'href="/logs\?service=price&amp;q=GET\+/price', page)
    assert markup(page).complaints() == []
    more = open_console(logs=pages(READ + 1)).get(path).text
    assert ">new<" not in more


def test_a_log_search_that_is_away_is_said(open_console: Any) -> None:
    page = open_console(logs=recorded.Away()).get("/logs/patterns").text
    assert "did not answer" in page
