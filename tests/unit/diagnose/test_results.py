"""What a run of scenarios leaves for a reader and for a program."""

from __future__ import annotations

import dataclasses
from xml.etree import ElementTree as XML

from dashcam.lab import results
from dashcam.lab.verify import Result

GOOD = Result("price-slow", "slow in price", "price is slow", True, 14.2, None, 41.0, 1.25, 12.0)
MISSED = Result("car-cpu-burn", "slow in car", "web is slow | at once", False, 3.0, 5.0, 30.0, 2.0, None)
HALF = Result("retry-storm", "failing in price", "price fails", False, silent=("traces", "logs"))
ALARMED = Result("bad-release", "failing in car", "car fails", True, alarms=("web is slow",))
EVERY = [GOOD, MISSED, HALF, ALARMED]


def test_markdown_counts_and_has_a_row_for_each() -> None:
    first, *_ = text = results.markdown(EVERY).splitlines()
    assert first == "2 of 4 causes were named first."
    assert "bad-release: named without a fault: web is slow" in text
    rows = [
        [cell.strip() for cell in line.replace("\\|", "/").split("|")[1:-1]] for line in text if "|" in line
    ]
    assert {len(row) for row in rows} == {len(results.COLUMNS)}
    assert rows[2] == [
        *("price-slow", "named", "14 s", "-", "41 s", "1.2 s", "12 s", "price is slow"),
    ]
    assert rows[3][1] == "NOT NAMED"
    assert rows[3][-1] == "web is slow / at once"
    assert rows[4][1] == "named WITHOUT traces and logs"


def test_what_was_named_at_the_second_try_says_so() -> None:
    again = dataclasses.replace(GOOD, tries=2)
    assert "| named the second time |" in results.markdown([again])
    assert not again.wrong


def test_junit_fails_what_was_missed_what_a_signal_is_silent_about_and_false_alarms() -> None:
    suite = XML.fromstring(results.junit(EVERY))
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("4", "3")
    told = {case.attrib["name"]: [each.attrib["message"] for each in case] for case in suite}
    assert told == {
        "price-slow": [],
        "car-cpu-burn": ["NOT NAMED; first: web is slow | at once"],
        "retry-storm": ["named WITHOUT traces and logs; first: price fails"],
        "bad-release": ["named without a fault: web is slow"],
    }
    assert [each.text for case in suite for each in case] == [
        "expected: slow in car",
        "expected: failing in price",
        "expected: failing in car",
    ]


def test_a_route_in_markdown_is_no_html() -> None:
    odd = Result("price-slow", "slow", "web is slow: GET /cars/<maker>", False, alarms=("GET /<a> is slow",))
    text = results.markdown([odd])
    assert "<" not in text
    assert "GET /cars/&lt;maker>" in text


def test_what_xml_cannot_hold_is_written_so_that_it_can_be_read() -> None:
    odd = Result("price-slow", "slow", 'web fails: "<a&b>"', False)
    (case,) = XML.fromstring(results.junit([odd]))
    assert case[0].attrib["message"] == 'NOT NAMED; first: web fails: "<a&b>"'
