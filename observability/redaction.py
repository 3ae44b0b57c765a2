"""Keeping secrets out of log lines.

A value is hidden when its key says so (`password`, `authorization`, `cookie`, `token`, ...), and a text is
cleaned of what looks like a credential: `Bearer ...` and `Basic ...`, the user part of a URL, and
`key=value` or `"key": "value"` pairs, query parameters among them, whose key says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "[redacted]"

_WORDS = (
    r"passw(?:or)?d|passwd|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|authorization|"
    r"(?:set-)?cookie|session[-_]?id|credential|signature"
)
_KEY = re.compile(_WORDS, re.IGNORECASE)
_SCHEME = re.compile(r"\b(Bearer|Basic|Digest|Token)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@\"'<>]{1,512}@", re.IGNORECASE)
_PAIR = re.compile(
    rf"""([\w.-]*(?:{_WORDS})[\w.-]*["']?\s*[=:]\s*)(?:"[^"]*"|'[^']*'|[^\s&;,"'}}\])]+)""", re.IGNORECASE
)
_COOKIE = re.compile(r"""((?:set-)?cookie["']?\s*[=:]\s*)[^\r\n]+""", re.IGNORECASE)
_HINT = re.compile(rf"{_WORDS}|bearer|basic|digest|://[^\s/]*@", re.IGNORECASE)
"""One cheap look decides whether the others are needed at all."""

MAX_DEPTH = 6


def is_secret(key: str) -> bool:
    """Whether the value under `key` is to be hidden."""
    return _KEY.search(key) is not None


def text(value: str) -> str:
    """`value` without what looks like a credential."""
    if _HINT.search(value) is None:
        return value
    value = _SCHEME.sub(rf"\1 {HIDDEN}", value)
    value = _USERINFO.sub(rf"\1{HIDDEN}@", value)
    value = _COOKIE.sub(rf"\1{HIDDEN}", value)
    return _PAIR.sub(_hide_pair, value)


def _hide_pair(match: re.Match[str]) -> str:
    """Hide the value but keep `Authorization: Bearer [redacted]` as the scheme left it."""
    rest = match.group(0)[len(match.group(1)) :]
    if rest.lower() in ("bearer", "basic", "digest", "token") or rest.startswith("[redacted"):
        return match.group(0)
    return f"{match.group(1)}{HIDDEN}"


def value(thing: Any, key: str = "", depth: int = 0) -> Any:
    """A copy of `thing` with secrets hidden, in mappings and sequences too, down to MAX_DEPTH."""
    if key and is_secret(key):
        return HIDDEN
    if isinstance(thing, str):
        return text(thing)
    if thing is None or isinstance(thing, (bool, int, float)):
        return thing
    if depth >= MAX_DEPTH:
        return text(str(thing))
    if isinstance(thing, Mapping):
        return {str(name): value(inner, str(name), depth + 1) for name, inner in thing.items()}
    if isinstance(thing, (list, tuple, set, frozenset)):
        return [value(inner, "", depth + 1) for inner in thing]
    return text(str(thing))
