"""Database statements: a client span and a duration for each, by the stable database conventions.

A listener on SQLAlchemy's engines of the whole process, made before or after. SQLAlchemy is loaded by who
uses it: where it is only installed, it would be a third of the memory that all of this takes. The listener
is our own because the official instrumentation (0.66b1) has no durations, puts the database's name into
`db.operation.name`, adds a span for every checkout of a pooled connection and misses engines that exist
already (docs/adr/0012).

`db.query.text` is the statement with its placeholders; literals in it are replaced by `?`, and the text
of a database error is never recorded, for it may quote a row.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import wrapt
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from observability import schema

_logger = logging.getLogger(__name__)

_VERBS = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "ALTER", "DROP", "TRUNCATE", "PRAGMA"}
    | {"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET", "SHOW", "EXPLAIN", "ANALYZE"}
    | {"VACUUM", "CALL", "COPY", "LOCK"}
)
_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_TABLE = re.compile(
    r"\b(?:FROM|INTO|UPDATE|TABLE(?:\s+IF\s+(?:NOT\s+)?EXISTS)?)\s+(?:ONLY\s+)?"
    r"((?:[\"`\[]?\w+[\"`\]]?\.)?[\"`\[]?\w+[\"`\]]?)",
    re.IGNORECASE,
)
_LITERAL = re.compile(r"'(?:[^']|'')*'|(?<![\w$:%?\"`.])\d+(?:\.\d+)?\b")
_MAX_QUERY = 2000
_SYSTEMS = {"mysql": "mysql", "mariadb": "mariadb", "mssql": "microsoft.sql_server", "oracle": "oracle.db"}


@dataclass(frozen=True)
class Statement:
    """What the conventions say about one statement: verb, first table, text without values."""

    operation: str
    collection: str
    text: str

    @property
    def summary(self) -> str:
        return f"{self.operation} {self.collection}".rstrip()


@functools.lru_cache(maxsize=1024)
def parse(statement: str) -> Statement:
    """Verb and table of a statement, which are few in any program; an unknown verb is `OTHER`."""
    text = _LITERAL.sub("?", _COMMENT.sub(" ", statement)).strip()
    words = text.split(None, 1)
    verb = words[0].upper().rstrip(";(") if words else ""
    if verb == "WITH":
        # What follows the common table expressions is what the statement does.
        found = re.findall(r"\)\s*(SELECT|INSERT|UPDATE|DELETE|MERGE)\b", text, re.IGNORECASE)
        verb = found[-1].upper() if found else "SELECT"
    table = _TABLE.search(text) if verb in _VERBS else None
    collection = re.sub(r"[\"`\[\]]", "", table.group(1)) if table else ""
    return Statement(verb if verb in _VERBS else "OTHER", collection, text[:_MAX_QUERY])


def install(tracers: trace.TracerProvider, meters: metrics.MeterProvider) -> Callable[[], None]:
    """Listen to every engine of the process. Return the function that undoes it.

    Where SQLAlchemy is not installed there is nothing to do.
    """
    if importlib.util.find_spec("sqlalchemy") is None:
        return lambda: None
    listening = _Listening(_Listener(tracers, meters))
    wrapt.register_post_import_hook(listening.loaded, "sqlalchemy")
    return listening.close


class _Listening:
    """The events that are listened to, from the time that SQLAlchemy is loaded until it is closed."""

    def __init__(self, listener: _Listener) -> None:
        self._listener: _Listener | None = listener
        self._undo = ExitStack()

    def loaded(self, library: Any) -> None:
        """SQLAlchemy is there; raised here, an error would be one of importing it."""
        listener = self._listener
        if listener is None:
            return
        try:
            for name, function in (
                ("before_cursor_execute", listener.before),
                ("after_cursor_execute", listener.after),
                ("handle_error", listener.failed),
            ):
                library.event.listen(library.engine.Engine, name, function)
                self._undo.callback(library.event.remove, library.engine.Engine, name, function)
        except Exception:
            _logger.warning("SQLAlchemy's statements are not seen: listening to it failed", exc_info=True)
            self.close()

    def close(self) -> None:
        self._listener = None  # what waits for a library that is never loaded keeps this object for ever
        self._undo.close()


class _Listener:
    def __init__(self, tracers: trace.TracerProvider, meters: metrics.MeterProvider) -> None:
        self._tracer = tracers.get_tracer(__name__, schema_url=schema.CONVENTIONS)
        self._duration = meters.get_meter(__name__).create_histogram("db.client.operation.duration", "s")

    def before(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        """A statement begins."""
        if context is None or not is_instrumentation_enabled():
            return
        known = parse(statement)
        labels = {"db.system.name": _system(connection.dialect.name), "db.operation.name": known.operation}
        if known.collection:
            labels["db.collection.name"] = known.collection
        span = self._tracer.start_span(known.summary, kind=trace.SpanKind.CLIENT, attributes=labels)
        if span.is_recording():
            span.set_attributes(_described(connection.engine.url, known))
        context._observed_statement = (span, labels, time.perf_counter())

    def after(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        """It went well."""
        self._end(context, None)

    def failed(self, context: Any) -> None:
        """It failed."""
        self._end(context.execution_context, context.original_exception)

    def _end(self, context: Any, error: BaseException | None) -> None:
        begun = context.__dict__.pop("_observed_statement", None) if context is not None else None
        if begun is None:
            return
        span, labels, began = begun
        if error is not None:
            kind = f"{type(error).__module__}.{type(error).__qualname__}"
            labels = {**labels, "error.type": kind}
            span.set_attribute("error.type", kind)
            if code := getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None):
                span.set_attribute("db.response.status_code", str(code))
            span.set_status(trace.Status(trace.StatusCode.ERROR, kind))
        self._duration.record(time.perf_counter() - began, labels, context=trace.set_span_in_context(span))
        span.end()


def _described(url: Any, known: Statement) -> dict[str, str | int]:
    found: dict[str, str | int] = {"db.query.text": known.text, "db.query.summary": known.summary}
    if url.database:
        # A file's folders say nothing about the database and much about the machine.
        found["db.namespace"] = os.path.basename(url.database)
    if url.host:
        found["server.address"] = url.host
    if url.port:
        found["server.port"] = url.port
    return found


def _system(dialect: str) -> str:
    return _SYSTEMS.get(dialect, dialect)
