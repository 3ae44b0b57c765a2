"""The backend's own log: JSON lines on stdout, of the same fields as the services'.

The runtime's logging is not used here, because this package imports nothing of the runtime.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

import orjson

from dashcam.store.log_lines import rfc3339

_SEVERITIES = {"WARNING": "WARN", "CRITICAL": "FATAL"}


class JsonFormatter(logging.Formatter):
    """A record as one JSON line."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "timestamp": rfc3339(int(record.created * 1_000_000)),
            "severity": _SEVERITIES.get(record.levelname, record.levelname),
            "message": record.getMessage(),
            "service": self._service,
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[0] is not None:
            kind, error, trace = record.exc_info
            fields["exception.type"] = kind.__qualname__
            fields["exception.message"] = str(error)
            fields["exception.stacktrace"] = "".join(traceback.format_exception(kind, error, trace))
        return orjson.dumps(fields, default=str).decode()


def configure_logging(service: str) -> None:
    """Write the root logger's records of INFO and above to stdout."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
