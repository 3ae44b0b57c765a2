"""Times as programs write them: RFC 3339 and its like, access logs, syslog, klog, Java, C, numbers.

A text without a zone is this machine's time, as programs write it; one without a year is of the year that
puts it before now.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any

UTC = datetime.UTC
_NAMES = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_MONTHS = {name: at for at, name in enumerate(_NAMES.split("|"), 1)}
_MONTH = f"(?P<month>{_NAMES})"
_CLOCK = r"(?P<clock>\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d{1,9}))?"
_ZONE = r"(?:\s?(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d))?"
_HALVES = r"(?P<clock>\d{1,2}:\d\d:\d\d)\s(?P<half>[AP]M)"
_ENDS = r"(?=[\]\s,|:;\"]|$)"
_FORMS = tuple(
    re.compile(form)
    for form in (
        rf"(?P<year>\d{{4}})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T ]{_CLOCK}{_ZONE}{_ENDS}",
        rf"(?P<day>\d{{1,2}})[/ -]{_MONTH}[/ -](?P<year>\d{{4}})[: ]{_CLOCK}{_ZONE}{_ENDS}",
        rf"(?P<month>\d{{1,2}})/(?P<day>\d{{1,2}})/(?P<year>\d{{4}}),? {_HALVES}",
        rf"{_MONTH} (?P<day>\d{{1,2}}), (?P<year>\d{{4}}),? {_HALVES}",
        rf"{_MONTH} +(?P<day>\d{{1,2}}) {_CLOCK}(?: (?P<zone>UTC|GMT))? (?P<year>\d{{4}})\b",
        rf"{_MONTH} +(?P<day>\d{{1,2}}) {_CLOCK}{_ENDS}",
        rf"^[IWEF](?P<year>\d{{4}})?(?P<month>\d\d)(?P<day>\d\d) {_CLOCK}{_ENDS}",
    )
)
_ANY_CLOCK = re.compile(r"\d:\d\d:\d")
_LATEST_START, _IN_BRACKETS = 40, 100
"""Characters before a line's time; an access line has an address and a user before its bracket."""
_OF_ELSE = re.compile(
    r"(?:\b(?i:at|of|on|until|till|since|from|to|before|after|by|for|is|was|due)[:=]?[\s\"']*|[\w/.?&+-]"
    r"|(?<![\w?&.-])(?!(?i:\w*time\w*|\w*date|ts|t)=)[\w.-]+=[\"']?|[?&][\w.-]*=[\"']?)$"
)
"""What stands before a time that a line tells of, and not before its own: `next run at`, `?from=`."""
_UNITS = ((1e17, 1e3), (1e14, 1.0), (1e11, 1e-3), (1e8, 1e-6))
"""What a number of time may be: above the first, nanoseconds; then micro-, milli- and seconds."""


def of_number(number: float) -> str | None:
    """A time as a number, whose unit its size tells; None for no time."""
    for least, divisor in _UNITS:
        if number >= least:
            moment = datetime.datetime.fromtimestamp(0, UTC)
            try:
                return _rfc3339(moment + datetime.timedelta(microseconds=int(number / divisor)))
            except OverflowError:
                return None
    return None


def find(text: str, now: int, *, local: bool = True) -> tuple[str, int, int] | None:
    """The first time in the beginning of a line as RFC 3339, and where it begins and ends.

    `now` is in microseconds since the epoch. A time without a zone is in UTC unless `local`.
    """
    if not _ANY_CLOCK.search(text):
        return None
    for form in _FORMS:
        match = form.search(text)
        if match is None:
            continue
        bracketed = text[match.start() - 1 : match.start()] == "["
        if match.start() > (_IN_BRACKETS if bracketed else _LATEST_START):
            continue
        if _OF_ELSE.search(text[: match.start()][-_LATEST_START:]):
            continue
        try:
            return _rfc3339(_moment(match.groupdict(), now, local)), match.start(), match.end()
        except (ValueError, OverflowError):
            continue
    return None


def read(value: Any, now: int, *, local: bool = False) -> str | None:
    """A field's value as RFC 3339; None for no time. `now` and `local` as for :func:`find`."""
    if isinstance(value, dict):
        return _of_parts(value, now)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return of_number(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return of_number(float(text))
    try:
        moment = datetime.datetime.fromisoformat(text.replace(",", ".", 1))
    except ValueError:
        found = find(text, now, local=local)
        return found[0] if found and found[1] < 6 and " " in text[: found[2]] else None
    try:
        if moment.tzinfo is None:
            moment = moment.astimezone() if local else moment.replace(tzinfo=UTC)
        return _rfc3339(moment)
    except (OverflowError, ValueError):  # at the ends of what Python can say
        return None


def _of_parts(value: Mapping[str, Any], now: int) -> str | None:
    """A time that a logger has taken apart: MongoDB's, Log4j's, loguru's, PHP's, protobuf's."""
    for key in ("$date", "timestamp", "date"):
        if key in value and not isinstance(value[key], dict):
            return read(value[key], now)
    for seconds, nanos in (("epochSecond", "nanoOfSecond"), ("seconds", "nanos")):
        if isinstance(whole := value.get(seconds), int):
            part = value.get(nanos)
            return of_number(whole * 1_000_000_000 + (part if isinstance(part, int) else 0))
    return None


def _moment(found: Mapping[str, str | None], now: int, local: bool) -> datetime.datetime:
    hour, minute, second = (int(part) for part in str(found["clock"]).split(":"))
    if half := found.get("half"):
        hour = hour % 12 + (12 if half == "PM" else 0)
    fraction = int((found.get("fraction") or "0").ljust(6, "0")[:6])
    month = _MONTHS.get(str(found["month"])) or int(str(found["month"]))
    latest = datetime.datetime.fromtimestamp(now / 1e6, UTC) + datetime.timedelta(days=1)
    given = found.get("year")
    year = int(given) if given else latest.year
    day = int(str(found["day"]))
    moment = datetime.datetime(year, month, day, hour, minute, second, fraction)  # noqa: DTZ001 - its zone comes next
    zone = found.get("zone") or (None if local else "Z")
    zoned = _zoned(moment, zone)
    return zoned if given or zoned <= latest else _zoned(moment.replace(year=year - 1), zone)


def _zoned(moment: datetime.datetime, zone: str | None) -> datetime.datetime:
    if zone is None:
        return moment.astimezone(UTC)  # local
    if zone in ("Z", "UTC", "GMT"):
        return moment.replace(tzinfo=UTC)
    return moment.replace(tzinfo=datetime.datetime.strptime(zone, "%z").tzinfo)


def _rfc3339(moment: datetime.datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def is_rfc3339(text: str) -> bool:
    """Whether a text is a date and time that Python reads, with its zone."""
    try:
        return datetime.datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
