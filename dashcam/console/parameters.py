"""What a page is asked for, read from its query string: times, durations, tags, numbers.

Names and units are Jaeger's: `start` and `end` in microseconds since the epoch, `lookback` like `1h`,
`tags` a JSON object or logfmt. A value that cannot be used raises BadParameter, which says which and why.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

LOOKBACKS = ("5m", "15m", "30m", "1h", "2h", "3h", "6h", "12h", "24h", "2d", "7d")
"""What the forms offer."""

_UNITS = {
    "ns": 0.001,
    "us": 1.0,
    "µs": 1.0,
    "μs": 1.0,
    "ms": 1e3,
    "s": 1e6,
    "m": 6e7,
    "h": 3.6e9,
    "d": 8.64e10,
}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h|d)")
_TRACE_ID = re.compile(r"[0-9a-f]{1,32}")
LONGEST = 366 * 86_400_000_000
"""A year in microseconds: the longest time that is asked for at once."""


class BadParameter(ValueError):
    """A parameter has a value that cannot be used. The message names both and the remedy."""

    def __init__(self, name: str, value: str, remedy: str) -> None:
        super().__init__(f"{name}={value[:200]!r} cannot be used: {remedy}")


@dataclass(frozen=True)
class Window:
    """The time a page is about, in microseconds since the epoch; `lookback` is `custom` for a fixed one."""

    start: int
    end: int
    lookback: str

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1e6

    @property
    def fixed(self) -> bool:
        return self.lookback == "custom"

    def params(self) -> dict[str, str | int]:
        """The query string that gives this window again."""
        return self.fix() if self.fixed else {"lookback": self.lookback}

    def fix(self) -> dict[str, str | int]:
        """The query string that gives exactly this time, whenever it is opened."""
        return {"lookback": "custom", "start": self.start, "end": self.end}


_recorded: list[int] = []
"""The end of the recorded time that this process looks at; empty: the present."""


@contextmanager
def standing_at(moment: int) -> Iterator[None]:
    """Take `moment`, in microseconds, for now until the block ends: to show a recorded time."""
    _recorded.append(moment)
    try:
        yield
    finally:
        _recorded.pop()


def now() -> int:
    """Microseconds since the epoch."""
    return _recorded[-1] if _recorded else time.time_ns() // 1000


def window(args: Mapping[str, str], default: str = "1h", at: int | None = None) -> Window:
    """The window of a query string: `start` and `end`, or `from` and `to` in UTC, or a `lookback`."""
    at = now() if at is None else at
    start, end = _moment(args, "start", "from"), _moment(args, "end", "to")
    # Jaeger's UI writes a lookback beside the start and end that it stood for when the link was made.
    linked = bool(args.get("start") and args.get("end"))
    lookback = args.get("lookback") or ("custom" if start is not None or end is not None else default)
    lookback = "custom" if linked else lookback
    if lookback != "custom":
        length = microseconds("lookback", lookback)
        if not 1_000_000 <= length <= LONGEST:
            raise BadParameter("lookback", lookback, "give from 1s to 366d.")
        return Window(at - length, at, lookback)
    end = at if end is None else end
    start = end - microseconds("lookback", default) if start is None else start
    if start >= end:
        raise BadParameter("start", str(start), "it must be before the end.")
    if end - start > LONGEST:
        raise BadParameter("start", str(start), "ask for a year at most.")
    return Window(start, end, "custom")


def reaching(since: str, until: str = "", name: str = "since") -> Window:
    """From `since`, a moment or a length back from `until`, which is a moment or empty for now."""
    if since[:1].isdigit() and "-" in since:
        return window({"from": since, "to": until}, "1h")
    microseconds(name, since)
    if not until:
        return window({"lookback": since}, "1h")
    return window({"to": until}, since)


def microseconds(name: str, value: str) -> int:
    """A duration as Go writes it (`1h30m`, `1.5s`, `200ms`) in microseconds."""
    parts = _PART.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value.strip():
        raise BadParameter(name, value, "give a duration such as 200ms, 1.5s or 2h.")
    return int(sum(float(number) * _UNITS[unit] for number, unit in parts))


def duration(args: Mapping[str, str], name: str) -> str:
    """A duration parameter as it was given, after a look that it is one; empty where there is none."""
    value = args.get(name, "").strip()
    if value:
        microseconds(name, value)
    return value


def number(args: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """A whole number within [low, high]."""
    value = args.get(name, "").strip()
    if not value:
        return default
    if not value.isascii() or not value.isdigit() or not low <= int(value[:12]) <= high:
        raise BadParameter(name, value, f"give a whole number from {low} to {high}.")
    return int(value)


def choice(args: Mapping[str, str], name: str, allowed: tuple[str, ...], default: str) -> str:
    """One of `allowed`."""
    value = args.get(name, "") or default
    if value not in allowed:
        raise BadParameter(name, value, f"give one of {', '.join(option for option in allowed if option)}.")
    return value


def pairs(args: Mapping[str, str], name: str) -> dict[str, str]:
    """`{"k":"v"}` or `k=v k2="two words"`, as Jaeger's form takes tags."""
    value = args.get(name, "").strip()
    if not value:
        return {}
    if value.startswith("{"):
        return _json_pairs(name, value)
    try:
        words = shlex.split(value)
    except ValueError as error:
        raise BadParameter(name, value, f"{error}; close every quote.") from None
    found = dict(word.partition("=")[::2] for word in words)
    if "" in found or any("=" not in word for word in words):
        raise BadParameter(name, value, 'give key=value pairs, such as error=true http.route="/cars".')
    return found


def _json_pairs(name: str, value: str) -> dict[str, str]:
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        raise BadParameter(name, value, 'give a JSON object such as {"error":"true"}.') from None
    if not all(isinstance(one, str | int | float | bool) for one in found.values()):
        raise BadParameter(name, value, "give texts, numbers or true and false as values.")
    return {key: one if isinstance(one, str) else orjson.dumps(one).decode() for key, one in found.items()}


def logfmt(found: Mapping[str, str]) -> str:
    """`pairs` the other way, for the form's field."""
    return " ".join(f"{key}={_quoted(value)}" for key, value in found.items())


def _quoted(value: str) -> str:
    if value and not re.search(r"[\s\"'\\]", value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def trace_id(value: str) -> str:
    """A trace id: hexadecimal, at most 32 digits, in lower case, filled to 32 as Jaeger does."""
    value = value.strip().lower()
    if not _TRACE_ID.fullmatch(value):
        raise BadParameter("trace", value, "a trace id has 32 hexadecimal digits.")
    return value.zfill(32)


def _moment(args: Mapping[str, str], name: str, readable: str) -> int | None:
    """Microseconds from `name`, or from `readable` as a form's date and time in UTC."""
    if value := args.get(name, "").strip():
        if not value.isascii() or not value.isdigit() or len(value) > 17:
            raise BadParameter(name, value, "give microseconds since the epoch.")
        return int(value)
    if value := args.get(readable, "").strip():
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise BadParameter(readable, value, "give a date and time such as 2026-01-31T12:00.") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1_000_000)
    return None
