"""Keeping secrets out of log lines.

A value is hidden when its key says so (`password`, `authorization`, `cookie`, `token`, ...), and a text is
cleaned of what looks like a credential: `Bearer ...` and `Basic ...`, the user part of a URL, and
`key=value` or `"key": "value"` pairs, query parameters among them, whose key says so.
"""

from __future__ import annotations

import functools
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
    rf"""((?:{_WORDS})[\w.-]{{0,40}}["']?\s{{0,4}}[=:]\s{{0,4}})"""
    rf"""(?:"[^"]{{0,2000}}"|'[^']{{0,2000}}'|[^\s&;,"'}}\])]+)""",
    re.IGNORECASE,
)
_COOKIE = re.compile(r"""((?:set-)?cookie["']?\s{0,4}[=:]\s{0,4})[^\r\n]+""", re.IGNORECASE)
_HINTS = (
    *("passw", "pwd", "secret", "token", "key", "authorization", "cookie", "session", "credential"),
    *("signature", "bearer", "basic", "digest", "@"),
)
"""A text without any of these holds nothing to hide: a look that costs a microsecond, not fifty."""

MAX_DEPTH = 6
MAX_TEXT = 16_000
"""Characters of a text that are looked at and kept; every pattern above is linear in them."""


@functools.lru_cache(maxsize=1024)
def is_secret(key: str) -> bool:
    """Whether the value under `key` is to be hidden."""
    return _KEY.search(key) is not None


def suspicious(value: str) -> bool:
    """Whether `value` may hold something to hide; False is certain."""
    lowered = value.lower()
    for hint in _HINTS:  # noqa: SIM110 # any() over a generator takes twice as long
        if hint in lowered:
            return True
    return False


def text(value: str) -> str:
    """The first MAX_TEXT characters of `value`, without what looks like a credential."""
    value = value[:MAX_TEXT]
    if not suspicious(value):
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
        return shown(thing)
    if isinstance(thing, Mapping):
        return {shown(name): value(inner, shown(name), depth + 1) for name, inner in thing.items()}
    if isinstance(thing, (list, tuple, set, frozenset)):
        return [value(inner, "", depth + 1) for inner in thing]
    return shown(thing)


def shown(thing: Any) -> str:
    """Any object as a clean text, also one whose `__str__` raises."""
    try:
        return text(str(thing))
    except Exception as broken:
        return f"({type(thing).__name__}, whose text raised {type(broken).__name__})"
