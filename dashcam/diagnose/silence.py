"""Why a call got no answer at all, by what the caller's error says, in the words of the usual languages."""

from __future__ import annotations

import re
from collections.abc import Sequence

UNRESOLVED, REFUSED, LATE = "name does not resolve", "connection refused", "no answer in time"

_SIGNS = (
    (
        UNRESOLVED,
        r"name ?resolution|(?:failed to|could not|does not) resolve|gaierror|unknown ?host|ENOTFOUND|EAI_"
        r"|no such host|name or service not known|nodename nor servname|getaddrinfo|\bDNS",
    ),
    (REFUSED, r"ECONNREFUSED|connection ?refused|actively refused"),
    (LATE, r"time(?:d[ _-]?|-)?out|ETIMEDOUT|deadline[ _]?exceeded"),
)
_PATTERNS = tuple((why, re.compile(text, re.IGNORECASE)) for why, text in _SIGNS)


def why(error: str, message: str) -> str:
    """UNRESOLVED, REFUSED or LATE; empty where the error does not say."""
    text = f"{error} {message}"
    return next((reason for reason, pattern in _PATTERNS if pattern.search(text)), "")


def told(service: str, callers: Sequence[str], error: str, reason: str) -> str:
    """What is wrong, in a sentence."""
    whom = " and ".join(callers)
    if reason == UNRESOLVED:
        return f"the name {service} does not resolve" + (f" for {whom}" if whom else "") + f" ({error})"
    return f"{service} does not answer" + (f" {whom}" if whom else "") + f" ({error})"
