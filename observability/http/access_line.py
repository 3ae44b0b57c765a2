"""The access line of one request: written as JSON at once where that is all that would become of a record.

A record that travels through `logging` and a formatter costs some 20 µs, to be written by the one handler
that there usually is. Where there is more (another handler, a filter, a record factory, console lines) or
where the line holds anything to hide or to cut, the record takes that way; both give the same line.
"""

from __future__ import annotations

import logging
import time
from typing import Any, NamedTuple

import orjson

from observability import redaction
from observability.logs.handler import sole_handler
from observability.logs.lines import MAX_LINE, second

logger = logging.getLogger("observability.access")

MAX_PATH = 1024
MAX_AGENT = 256
_TEXTS, REMEMBERED = 4096, 1024
"""How many texts, and parts of lines, are remembered."""

_Asked = tuple[str, str, str, int, str | None, str | None, str | None]
"""What the lines of equal requests have in common: method, route, path, status, address, query, agent."""


class Answered(NamedTuple):
    """What a line says of a request. `query` and `agent` are None where there is none."""

    method: str
    route: str
    path: str
    status: int
    size: int
    seconds: float
    address: str | None
    query: str | None
    agent: str | None
    ids: tuple[str, str] | None


class AccessLines:
    """Writes access lines of `service`. Thread-safe."""

    def __init__(self, service: str) -> None:
        self._head = f'","service":{_quoted(service)},"logger":"{logger.name}","http.request.method":'
        self._clean: dict[str, str] = {}
        self._known: dict[_Asked, tuple[str, str]] = {}
        self._second = (0, "")

    def write(self, answered: Answered, error: bool = False) -> None:
        """The line of a request; `error` where an exception is being handled that belongs to it."""
        status = answered.status
        level = (
            logging.ERROR if error or status >= 500 else logging.WARNING if status >= 400 else logging.INFO
        )
        if not logger.isEnabledFor(level):
            return
        if not error and (handler := sole_handler(logger)) is not None:
            line = self._line(answered, _SEVERITIES[level])
            if line is not None:
                handler.writer.write(line, _SEVERITIES[level])
                return
        method, path = answered.method, redaction.text(answered.path)
        logger.log(level, "%s %s %d", method, path, status, extra=_fields(answered, path), exc_info=error)

    def _line(self, answered: Answered, severity: str) -> bytes | None:
        """The line as bytes, or None where it has to be looked at more closely."""
        around = self.around(answered)
        if around is None:
            return None
        before, after = around
        line = (
            f'{{"timestamp":"{self._now()}Z","severity":"{severity}",{before}{answered.size},'
            f'"http.server.request.duration":{answered.seconds:.6f}{after}'
        )
        ids = answered.ids
        line += f',"trace_id":"{ids[0]}","span_id":"{ids[1]}"}}\n' if ids else "}\n"
        written = line.encode()
        return written if len(written) <= MAX_LINE else None

    def around(self, answered: Answered) -> tuple[str, str] | None:
        """What stands before the body's size, and after the duration; None where it may hold a secret."""
        method, route, path, status, _, _, address, query, agent, _ = answered
        asked = (method, route, path, status, address, query, agent)
        try:
            return self._known.get(asked) or self._remember(asked)
        except ValueError:
            return None

    def _remember(self, asked: _Asked) -> tuple[str, str]:
        method, route, path, status, address, query, agent = asked
        quoted_path = self._shown(path)
        before = (
            f'"message":"{method} {quoted_path[1:-1]} {status}{self._head}"{method}",'
            f'"http.route":{self._shown(route)},"url.path":{quoted_path},'
            f'"http.response.status_code":{status},"http.response.body.size":'
        )
        after = f',"client.address":{"null" if address is None else self._shown(address)}'
        if query is not None:
            if redaction.suspicious_query(query):
                raise ValueError("to be redacted")
            after += f',"url.query":{self._shown(query)}'
        if agent is not None:
            after += f',"user_agent.original":{self._shown(agent)}'
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[asked] = before, after
        return before, after

    def _shown(self, text: str) -> str:
        """`text` as JSON. Raises ValueError for what may hold a secret or cannot be encoded."""
        shown = self._clean.get(text)
        if shown is None:
            if redaction.suspicious(text):
                raise ValueError("to be redacted")
            shown = _quoted(text)
            if len(self._clean) >= _TEXTS:
                self._clean.clear()
            self._clean[text] = shown
        return shown

    def _now(self) -> str:
        """The time to the microsecond; all but the fraction is made once a second."""
        whole, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        known, shown = self._second
        if known != whole:
            shown = second(whole)
            self._second = (whole, shown)
        return f"{shown}.{nanoseconds // 1000:06d}"


def _quoted(text: str) -> str:
    try:
        return orjson.dumps(text).decode()
    except TypeError:  # a lone surrogate
        raise ValueError("not encodable") from None


_SEVERITIES = {logging.INFO: "INFO", logging.WARNING: "WARN", logging.ERROR: "ERROR"}


def _fields(answered: Answered, path: str) -> dict[str, Any]:
    """The same as fields of a record."""
    found: dict[str, Any] = {
        "http.request.method": answered.method,
        "http.route": answered.route,
        "url.path": path,
        "http.response.status_code": answered.status,
        "http.response.body.size": answered.size,
        "http.server.request.duration": round(answered.seconds, 6),
        "client.address": answered.address,
    }
    if answered.query is not None:
        found["url.query"] = answered.query
    if answered.agent is not None:
        found["user_agent.original"] = answered.agent
    if answered.ids:
        found["trace_id"], found["span_id"] = answered.ids
    return found
