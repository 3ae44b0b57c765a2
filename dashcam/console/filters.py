"""How values read on a page: durations, rates, ratios, sizes, times. Installed as template filters."""

from __future__ import annotations

import math
import unicodedata
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Flask

from dashcam.model.traces import LATEST

PALETTE = 12
"""How many colours services are told apart with."""

NONE = "\N{EN DASH}"


def duration(us: float | None) -> str:
    """Microseconds with three digits and a fitting unit."""
    if us is None or not math.isfinite(us):
        return _unmeasured(us)
    for factor, unit, limit in ((1.0, "µs", 999.5), (1e3, "ms", 999.5e3), (1e6, "s", 1e8)):
        if abs(us) < limit:
            return f"{_three(us / factor)} {unit}"
    minutes, seconds = divmod(round(us / 1e6), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _unmeasured(value: float | None) -> str:
    """What stands for no value, and for one beyond every bucket."""
    if value is None or math.isnan(value):
        return NONE
    return "∞" if value > 0 else "-∞"


def seconds(value: float | None) -> str:
    """Seconds, as `duration` writes them."""
    return NONE if value is None else duration(value * 1e6)


def rate(value: float | None) -> str:
    """Something per second; below one a second, two digits say enough."""
    if value is None or not math.isfinite(value):
        return _unmeasured(value)
    return f"{_digits(value, 3 if abs(value) >= 1 else 2)}/s"


def ratio(value: float | None) -> str:
    """A share as a percentage."""
    if value is None or not math.isfinite(value):
        return _unmeasured(value)
    return "0%" if value == 0 else f"{_three(value * 100)}%"


def share(value: float) -> str:
    """A share of a whole, which is finite, for a reader: whole percents, and `under 1%`."""
    return "under 1%" if 0 < value < 0.01 else f"{round(value * 100)}%"


def size(value: float | None) -> str:
    """Bytes in binary units."""
    if value is None or not math.isfinite(value):
        return _unmeasured(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024 or unit == "GiB":
            return f"{_three(value)} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def count(value: float | None) -> str:
    """A number of things; thousands are separated by a thin space."""
    if value is None or not math.isfinite(value):
        return _unmeasured(value)
    return f"{round(value):,}".replace(",", "\u202f")


def rounded(value: int) -> str:
    """A number that is not known more exactly than to two digits."""
    return count(round(value, 2 - len(str(abs(value)))))


def number(value: float | None) -> str:
    """Any value of a metric."""
    if value is None or not math.isfinite(value):
        return _unmeasured(value)
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e6 else f"{value:.4g}"


def _three(value: float) -> str:
    return _digits(value, 3)


def _digits(value: float, significant: int) -> str:
    """A number with so many significant digits, without an exponent or trailing zeros behind the point."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    digits = max(0, significant - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(digits, 4)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def moment(us: int) -> datetime:
    """Microseconds since the epoch as a time in UTC, the last one that can be written for any later."""
    us = max(0, min(us, LATEST))
    return datetime.fromtimestamp(us // 1_000_000, UTC).replace(microsecond=us % 1_000_000)


def clock(us: int) -> str:
    """The time of day with milliseconds."""
    return moment(us).strftime("%H:%M:%S.") + f"{us % 1_000_000 // 1000:03d}"


def date(us: int) -> str:
    """Date and time to the second."""
    return moment(us).strftime("%Y-%m-%d %H:%M:%S")


def iso(us: int) -> str:
    """RFC 3339."""
    return moment(us).isoformat().replace("+00:00", "Z")


def field_time(us: int) -> str:
    """As the value of a form's date and time field."""
    return moment(us).strftime("%Y-%m-%dT%H:%M:%S")


def ago(us: int, at: int) -> str:
    """How long before `at`, in words."""
    past = max(0, at - us) / 1e6
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if past >= length:
            return f"{int(past // length)} {unit} ago"
    return f"{int(past)} s ago"


def colours(services: Iterable[str]) -> dict[str, int]:
    """A colour number for each service: the same on every page, and apart from the others on this one."""
    taken: dict[str, int] = {}
    for service in sorted(set(services)):
        colour = zlib.crc32(service.encode(errors="replace")) % PALETTE
        if len(taken) < PALETTE:
            while colour in taken.values():
                colour = (colour + 1) % PALETTE
        taken[service] = colour
    return taken


_MORE = " more characters)"


def clipped(value: Any, length: int = 2000) -> str:
    """Text for a page, bounded; what is left out is said."""
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return text if len(text) <= length else f"{text[:length]}… ({len(text) - length}{_MORE}"


def cut(text: str) -> bool:
    """Whether :func:`clipped` left something out."""
    return text.endswith(_MORE)


_NARROW = frozenset("iljtfrI.,:;'|!()[]-/ ")


def fitted(text: str, room: float) -> str:
    """A text that is as wide as `room` letters of middling width, for a box of a fixed size.

    What is left out is in the middle: long names of one system often differ at their end alone.
    """
    if sum(map(_width, text[:1000])) <= room:
        return text
    head, tail = _within(text, room * 0.45 - 0.5), _within(text[::-1], room * 0.55 - 0.5)[::-1]
    return f"{head.rstrip()}…{tail.lstrip()}"


def _within(text: str, room: float) -> str:
    """As much of the start of a text as has room."""
    for place, letter in enumerate(text):
        room -= _width(letter)
        if room < 0:
            return text[:place]
    return text


def _width(letter: str) -> float:
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.8
    if letter in _NARROW:
        return 0.6
    return 1.35 if letter.isupper() or letter in "mw@%&" else 1.0


def install(app: Flask) -> None:
    """Make these the template filters of `app`."""
    for function in (
        duration,
        seconds,
        rate,
        ratio,
        share,
        size,
        count,
        rounded,
        number,
        clock,
        date,
        iso,
        field_time,
        ago,
    ):
        app.jinja_env.filters[f"as_{function.__name__}"] = function
    app.jinja_env.filters["clipped"] = clipped
    app.jinja_env.filters["fitted"] = fitted
    app.jinja_env.tests["cut"] = cut
