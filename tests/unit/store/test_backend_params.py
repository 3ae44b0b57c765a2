"""Query parameters are read as Go reads them, and what cannot be read is named."""

from __future__ import annotations

import pytest

from dashcam.store import params
from dashcam.store.clockskew import go_duration
from dashcam.store.params import BadParameter


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("1ns", 1),
        ("1.5s", 1_500_000_000),
        (".5ms", 500_000),
        ("1.ms", 1_000_000),
        ("2h45m", 9_900_000_000_000),
        ("100us", 100_000),
        ("100µs", 100_000),
        ("100μs", 100_000),
        ("-1m", -60_000_000_000),
        ("+1m0.5s", 60_500_000_000),
        ("0.0555s", 55_500_000),
    ],
)
def test_a_go_duration_is_read(text, nanoseconds):
    assert params.duration("minDuration", text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("5", 'missing unit in duration "5"'),
        ("1x", 'unknown unit "x" in duration "1x"'),
        ("1e3ms", 'unknown unit "e" in duration "1e3ms"'),
        ("abc", 'invalid duration "abc"'),
        ("-", 'invalid duration "-"'),
        ("1s ", 'unknown unit " " in duration "1s "'),
        ("9999999999h", 'invalid duration "9999999999h"'),
    ],
)
def test_a_duration_that_cannot_be_read_says_why(text, reason):
    with pytest.raises(BadParameter, match="unable to parse param 'minDuration': time: ") as caught:
        params.duration("minDuration", text)
    assert str(caught.value).endswith(reason)


@pytest.mark.parametrize("text", ["", "x", "1.5", "\uff11", "1_0", " 1", "0x10", "9" * 5000])
def test_a_number_that_is_none_is_named(text):
    with pytest.raises(BadParameter, match=r"unable to parse param 'start': strconv\.ParseInt"):
        params.integer("start", text)


def test_a_number_out_of_range_is_named():
    with pytest.raises(BadParameter, match="value out of range"):
        params.integer("limit", "2147483648", 32)


@pytest.mark.parametrize(
    ("text", "hexadecimal"),
    [
        ("0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"),
        ("0123456789ABCDEF0123456789ABCDEF", "0123456789abcdef0123456789abcdef"),
        ("12", "00000000000000000000000000000012"),
        ("123", "00000000000000000000000000000123"),
        ("ASNFZ4mrze8BI0VniavN7w==", "0123456789abcdef0123456789abcdef"),
        ("ASNFZ4mrze8BI0VniavN7w", "0123456789abcdef0123456789abcdef"),
        ("_-NFZ4mrze8BI0VniavN7w", "ffe3456789abcdef0123456789abcdef"),
    ],
)
def test_a_trace_id_is_read_from_hex_and_base64(text, hexadecimal):
    assert params.trace_id(text).hex() == hexadecimal


@pytest.mark.parametrize("text", ["", "zz", "0" * 33, "0x12", "12 ", "%", "é", "g" * 24])
def test_what_is_no_trace_id_is_named(text):
    with pytest.raises(BadParameter, match="TraceID cannot be parsed"):
        params.trace_id(text)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-11-22T15:06:40Z", 1_795_360_000_000_000_000),
        ("2026-11-22T15:06:40.123456789Z", 1_795_360_000_123_456_789),
        ("2026-11-22T16:06:40.5+01:00", 1_795_360_000_500_000_000),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_an_rfc_3339_time_keeps_its_nanoseconds(text, nanoseconds):
    assert params.timestamp("startTime", text) == nanoseconds


@pytest.mark.parametrize(
    "text", ["now", "2026-11-22", "2026-13-22T00:00:00Z", "2026-11-22T15:06:40", "1795360000"]
)
def test_a_time_that_is_none_is_named(text):
    with pytest.raises(BadParameter, match="malformed parameter startTime"):
        params.timestamp("startTime", text)


def test_tags_come_from_both_parameters():
    assert params.tags(["a:b:c", "d:"], ['{"a":"x","e":"f"}', "null"]) == {"a": "x", "d": "", "e": "f"}


@pytest.mark.parametrize(("simple", "documents"), [(["a"], []), ([], ["["]), ([], ["[]"]), ([], ['{"a":1}'])])
def test_tags_that_cannot_be_read_are_named(simple, documents):
    with pytest.raises(BadParameter, match=r"malformed 'tags?' parameter"):
        params.tags(simple, documents)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1500, "1.5µs"),
        (27_500_000, "27.5ms"),
        (-1_500, "-1.5µs"),
        (1_000_000_000, "1s"),
        (62_500_000_000, "1m2.5s"),
        (3_600_000_000_000, "1h0m0s"),
    ],
)
def test_a_duration_is_written_as_go_writes_it(nanoseconds, text):
    assert go_duration(nanoseconds) == text
