"""What loggers call a line's time, message, level, ids and stack, in a spelling common to them."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def common(name: str) -> str:
    """A name without its marks and in lower case; an @ stays before one or two letters."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return f"@{plain}" if name.startswith("@") and len(plain) <= 2 else plain


def names(text: str) -> tuple[str, ...]:
    """The names in a text, in its order."""
    return tuple(text.split())


# Each list has what says most first.
TIMES = names(
    "timestamp time ts @t asctime datetime eventtime instant timelocal timeiso8601 realtimetimestamp t"
)
MESSAGES = names("message msg @m renderedmessage event shortmessage body")
LAST_MESSAGES = names("text log fullmessage 0")
LEVELS = names(
    "severity level levelname lvl loglevel @l severitytext errorseverity loglevelname levelno severitynumber"
)
TRACES = names("traceid oteltraceid @tr ddtraceid xb3traceid logginggoogleapiscomtrace trace traceparent")
SPANS = names("spanid otelspanid @sp ddspanid xb3spanid logginggoogleapiscomspanid span traceparent")
METHODS = names("requestmethod httprequestmethod httpmethod method verb")
PATHS = names("requestpath urlpath path requesturi uri url request")
STATUSES = names("status statuscode responsecode downstreamstatus httpresponsestatuscode httpstatus")
TEMPLATES = ("@mt", "messagetemplate")
WRAPPERS = names("record fields nested log meta context data payload metadata attributes jsonpayload")
"""Where loggers nest what is the line's own."""
SUBJECTS = frozenset(names("fields data context payload attributes"))
"""Those of them that hold what a line is about, where it has a message beside them."""
