"""What loggers call a line's time, message, level, ids and stack, in a spelling common to them."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def common(name: str) -> str:
    """A name without its marks and in lower case; an @ stays before one or two letters."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return f"@{plain}" if name.startswith("@") and len(plain) <= 2 else plain


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Each list has what says most first.
TIMES = _names(
    "timestamp time ts @t asctime datetime eventtime instant timelocal timeiso8601 realtimetimestamp t"
)
MESSAGES = _names("message msg @m renderedmessage event shortmessage body")
LAST_MESSAGES = _names("text log fullmessage 0")
LEVELS = _names(
    "severity level levelname lvl loglevel @l severitytext errorseverity loglevelname levelno severitynumber"
)
TRACES = _names("traceid oteltraceid @tr ddtraceid xb3traceid logginggoogleapiscomtrace trace traceparent")
SPANS = _names("spanid otelspanid @sp ddspanid xb3spanid logginggoogleapiscomspanid span traceparent")
STACKS = _names(
    "excinfo @x stacktrace errorstacktrace extendedstacktrace exception stack backtrace traceback "
    "error err thrown throwable exc text"
)
METHODS = _names("requestmethod httprequestmethod httpmethod method verb")
PATHS = _names("requestpath urlpath path requesturi uri url request")
STATUSES = _names("status statuscode responsecode downstreamstatus httpresponsestatuscode httpstatus")
TEMPLATES = ("@mt", "messagetemplate")
WRAPPERS = _names("record fields nested log meta context data payload metadata attributes jsonpayload")
"""Where loggers nest what is the line's own."""
SUBJECTS = frozenset(_names("fields data context payload attributes"))
"""Those of them that hold what a line is about, where it has a message beside them."""
