"""Every log record of the process as one line on stdout, whatever logged it.

:func:`install` replaces the handlers that would print elsewhere (the root's, Flask's and those of the
WSGI servers), sends Python's warnings the same way, and can be undone. A line that cannot be written
(broken pipe, full disk, a reader that stands still for too long) is counted in `log_records_lost_total`;
the service goes on.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from observability import schema
from observability.configuration import TelemetrySettings
from observability.logs.lines import ConsoleLines, JsonLines, severity
from observability.logs.output import CAPACITY, LineWriter
from observability.metrics.meters import Families

SERVERS = (
    "gunicorn",
    "gunicorn.error",
    "gunicorn.access",
    "granian",
    "_granian",
    "granian.access",
    "waitress",
    "werkzeug",
)
"""Loggers of WSGI servers, which bring handlers of their own."""

REPEATING = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.attributes",
)
"""Loggers that say the same again and again: at every failed export, which the metrics count already, and
at every attribute that was cut to the limit, as a long stack is."""


class LineHandler(logging.Handler):
    """Writes each record as a line to stdout (or `stream`). Never blocks and never raises.

    `capacity` is the bytes of lines that may wait for a slow reader; `output.LineWriter` says the rest.
    """

    def __init__(self, families: Families, stream: TextIO | None = None, capacity: int = CAPACITY) -> None:
        super().__init__()
        self.writer = LineWriter(families, stream, capacity)
        self._lost = families.metric(schema.LOG_RECORDS_LOST)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            line = f"{self.format(record)}\n".encode("utf-8", "replace")
        except Exception as error:  # nothing about logging may end a request
            self._lost.labels(error_type=type(error).__qualname__).inc()
            return
        self.writer.write(line, severity(record))

    def write(self, line: bytes, severity: str) -> None:
        """Write one line with its line break."""
        self.writer.write(line, severity)

    def close(self) -> None:
        """Give up what still waits for the reader."""
        self.writer.close()
        super().close()


def drain(timeout: float) -> bool:
    """Let the reader of stdout take what waits for it; False when `timeout` seconds were not enough."""
    handlers = [handler for handler in logging.getLogger().handlers if isinstance(handler, LineHandler)]
    return all(handler.writer.drain(timeout) for handler in handlers)


def sole_handler(logger: logging.Logger) -> LineHandler | None:
    """The handler of JSON lines that would get a record of `logger` if nothing else would see it, or None."""
    if logger.disabled or logger.filters or logging.getLogRecordFactory() is not logging.LogRecord:
        return None
    above: logging.Logger | None = logger
    found: logging.Handler | None = None
    while above is not None:
        for handler in above.handlers:
            if found is not None or type(handler) is not LineHandler or handler.filters or handler.level:
                return None
            found = handler
        above = above.parent if above.propagate else None
    return found if isinstance(found, LineHandler) and type(found.formatter) is JsonLines else None


class OncePer(logging.Filter):
    """Lets one record a logger through in `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._next: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now < self._next.get(record.name, 0.0):
            return False
        self._next[record.name] = now + self._seconds
        return True


def formatter(service: str, settings: TelemetrySettings, stream: TextIO | None = None) -> logging.Formatter:
    """The formatter of LOG_FORMAT; `auto` asks whether stdout is a terminal."""
    stream = stream or sys.stdout
    terminal = bool(getattr(stream, "isatty", lambda: False)())
    if settings.log_format == "console" or (settings.log_format == "auto" and terminal):
        return ConsoleLines(service, colour=terminal and not settings.no_color)
    return JsonLines(service)


def install(
    service: str,
    settings: TelemetrySettings,
    families: Families,
    loggers: Sequence[str] = (),
    stream: TextIO | None = None,
) -> Callable[[], None]:
    """Send all records of the process to stdout. Answers the function that undoes it.

    `loggers` name more loggers that have a printing handler of their own, such as the application's.
    """
    handler = LineHandler(families, stream, settings.log_buffer)
    handler.setFormatter(formatter(service, settings, stream))
    undo = [_replace_handlers(logging.getLogger(), [handler], settings.log_level)]
    undo += [_replace_handlers(logging.getLogger(name), []) for name in (*SERVERS, *loggers)]
    # The development server logs each request, which the access line does better.
    undo.append(_set_level(logging.getLogger("werkzeug"), logging.WARNING))
    undo += [_filter(logging.getLogger(name), OncePer(60.0)) for name in REPEATING]
    capturing = getattr(logging, "_warnings_showwarning", None) is not None
    logging.captureWarnings(True)

    def undo_all() -> None:
        if not capturing:
            logging.captureWarnings(False)
        for step in reversed(undo):
            step()
        handler.close()

    return undo_all


def _prints(handler: logging.Handler) -> bool:
    """Whether a handler writes to the terminal; others (a test's, a file's) stay."""
    if isinstance(handler, LineHandler):
        return True
    return type(handler) is logging.StreamHandler or (
        isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stdout, sys.stderr)
    )


def _replace_handlers(
    logger: logging.Logger, handlers: list[logging.Handler], level: str | None = None
) -> Callable[[], None]:
    before: dict[str, Any] = {"level": logger.level, "propagate": logger.propagate}
    removed = [handler for handler in logger.handlers if _prints(handler)]
    for handler in removed:
        logger.removeHandler(handler)
    for handler in handlers:
        logger.addHandler(handler)
    if level is not None:
        logger.setLevel(level)
    else:
        logger.propagate = True

    def undo() -> None:
        for handler in handlers:
            logger.removeHandler(handler)
        for handler in removed:
            logger.addHandler(handler)
        logger.setLevel(before["level"])
        logger.propagate = before["propagate"]

    return undo


def _set_level(logger: logging.Logger, level: int) -> Callable[[], None]:
    before = logger.level
    logger.setLevel(level)
    return lambda: logger.setLevel(before)


def _filter(logger: logging.Logger, chosen: logging.Filter) -> Callable[[], None]:
    logger.addFilter(chosen)
    return lambda: logger.removeFilter(chosen)
