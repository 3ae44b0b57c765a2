"""Keeping secrets out of telemetry: of log lines, of spans and their events, of a status alike.

A value is hidden when its key says so (`password`, `authorization`, `cookie`, `token`, ...), and a text is
cleaned of what looks like a credential: `Bearer ...` and `Basic ...`, a JSON web token, the user part of a
URL, the parameters of an SQL statement, and `key=value` or `"key": "value"` pairs whose key says so.
A query parameter is known by its decoded name, and hidden also by the names that say so only there: those
that OpenTelemetry's conventions list for `url.query` and `url.full`, and their like.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_plus

HIDDEN = "[redacted]"
_HIDDEN_BY_OPENTELEMETRY = "[REDACTED]"
"""Of a header that OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS names."""

_WORDS = (
    r"passw(?:or)?d|passwd|passphrase|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|authorization|"
    r"(?:set-)?cookie|session[-_]?id|credential|signature"
)
_KEY = re.compile(_WORDS, re.IGNORECASE)
_SCHEME = re.compile(r"\b(Bearer|Basic|Digest|Token)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_USERINFO = re.compile(
    r"(\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@\"'<>]{1,512}@(?:[^\s/?#@\"'<>]{0,512}@)*", re.IGNORECASE
)
"""Up to the last `@` before the host: a password may hold one, as SQLAlchemy and requests take it."""
_PAIR = re.compile(
    rf"""((?:{_WORDS})[\w.-]{{0,40}}["']?\s{{0,4}}[=:]\s{{0,4}})"""
    rf"""(?:"[^"]{{0,2000}}"|'[^']{{0,2000}}'|[^\s&;,"'}}\])]+)""",
    re.IGNORECASE,
)
_JWT = re.compile(r"\beyJ[\w-]{8,2000}\.eyJ[\w-]{8,}\.[\w-]*")
_SQL_PARAMETERS = re.compile(r"(\[parameters: ).*?(\](?=\r?\n|$))", re.DOTALL)
"""As SQLAlchemy shows them at the end of an error, unless it is told to hide them."""
_NAME_AND_VALUE = r"([^=&;?#\s]{1,128})=([^&;#\s\"'<>]*)"
_PARAMETER = re.compile(rf"([?&;]){_NAME_AND_VALUE}")
_QUERY_PARAMETER = re.compile(rf"(^|[?&;]){_NAME_AND_VALUE}")
_PARAMETERS = frozenset(
    (
        *("sig", "code", "auth", "jwt", "otp", "key", "pass", "pw"),
        *("assertion", "client_assertion", "samlresponse"),
    )
)
"""Names of query parameters that are secret; as keys of anything else they are not.

`key` is not on the conventions' list, but is how Google's APIs and others take the caller's key. A harmless
one is hidden with it, which costs less than a secret that is kept.
"""
_DECODED = 2
"""How often the value of a parameter, which may be a URL itself, is decoded to look at it."""
_COOKIE = re.compile(r"""((?:set-)?cookie["']?\s{0,4}[=:]\s{0,4})[^\r\n]+""", re.IGNORECASE)
_HINTS = (
    *("passw", "pwd", "secret", "token", "key", "authorization", "cookie", "session", "credential"),
    *("signature", "bearer", "basic", "digest", "@", "passp", "eyj", "[parameters: "),
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
    for hint in _HINTS:
        if hint in lowered:
            return True
    return "=" in lowered and ("?" in lowered or "&" in lowered) and _parameters_suspicious(lowered)


def suspicious_query(value: str) -> bool:
    """The same of a query, without its question mark."""
    return suspicious(value) or ("=" in value and _parameters_suspicious(value.lower()))


def _parameters_suspicious(lowered: str) -> bool:
    return "%" in lowered or any(f"{name}=" in lowered for name in _PARAMETERS)


def query(value: str) -> str:
    """The same as `text` of a query, without its question mark."""
    value = value[:MAX_TEXT]
    return _text(value, _QUERY_PARAMETER) if suspicious_query(value) else value


def text(value: str) -> str:
    """The first MAX_TEXT characters of `value`, without what looks like a credential."""
    value = value[:MAX_TEXT]
    return _text(value) if suspicious(value) else value


def _text(value: str, parameters: re.Pattern[str] = _PARAMETER, decoding: bool = True) -> str:
    value = parameters.sub(functools.partial(_hide_parameter, decoding), value)
    value = _SCHEME.sub(rf"\1 {HIDDEN}", value)
    value = _USERINFO.sub(rf"\1{HIDDEN}@", value)
    value = _JWT.sub(HIDDEN, value)
    value = _SQL_PARAMETERS.sub(rf"\1{HIDDEN}\2", value)
    value = _COOKIE.sub(rf"\1{HIDDEN}", value)
    return _PAIR.sub(_hide_pair, value)


def _hide_parameter(decoding: bool, match: re.Match[str]) -> str:
    before, name, given = match.groups()
    shown = unquote_plus(name).lower()
    secret = shown in _PARAMETERS or is_secret(shown)
    decoded = given
    for _ in range(_DECODED):
        if secret or not decoding or "%" not in decoded:
            break
        decoded = unquote_plus(decoded)
        secret = _text(decoded, decoding=False) != decoded
    return f"{before}{name}={HIDDEN}" if secret and given else match[0]


def _hide_pair(match: re.Match[str]) -> str:
    """Hide the value but keep `Authorization: Bearer [redacted]` as the scheme left it."""
    rest = match.group(0)[len(match.group(1)) :]
    if rest.lower() in ("bearer", "basic", "digest", "token") or rest.startswith("[redacted"):
        return match.group(0)
    return f"{match.group(1)}{HIDDEN}"


def _of(key: str) -> Callable[[str], str]:
    return query if key == "url.query" else text


def attribute(key: str, given: Any) -> Any:
    """An attribute's value as `value` has it, for those that are texts; numbers and other types are kept."""
    if isinstance(given, str):
        if given == _HIDDEN_BY_OPENTELEMETRY:
            return given
        return HIDDEN if isinstance(key, str) and is_secret(key) else _of(key)(given)
    if isinstance(given, (list, tuple)) and all(isinstance(one, str) for one in given):
        return tuple(attribute(key, one) for one in given)
    return given


def value(thing: Any, key: str = "", depth: int = 0) -> Any:
    """A copy of `thing` with secrets hidden, in mappings and sequences too, down to MAX_DEPTH."""
    if key and is_secret(key):
        return HIDDEN
    if isinstance(thing, str):
        return _of(key)(thing)
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
