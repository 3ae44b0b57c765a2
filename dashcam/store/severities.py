"""The severity that a level of any logger means: a word, a number, or the status of an answer."""

from __future__ import annotations

import re
from typing import Any

WORDS = {
    **dict.fromkeys(("TRACE", "TRC", "TRCE", "SILLY", "FINEST", "VERBOSE2"), "TRACE"),
    **dict.fromkeys(
        ("DEBUG", "DBG", "DBUG", "DEBU", "VERBOSE", "HTTP", "FINE", "FINER", "CONFIG", "DEBUG1"), "DEBUG"
    ),
    **dict.fromkeys(("INFO", "INF", "INFORMATION", "INFORMATIONAL", "LOG", "SUCCESS"), "INFO"),
    "NOTICE": "NOTICE",
    **dict.fromkeys(("WARN", "WRN"), "WARN"),
    "WARNING": "WARNING",
    **dict.fromkeys(("ERROR", "ERR", "ERRO", "SEVERE", "FAIL", "FAILURE"), "ERROR"),
    **dict.fromkeys(("CRITICAL", "CRIT", "CRT"), "CRITICAL"),
    **dict.fromkeys(
        ("FATAL", "FTL", "FATA", "PANIC", "PANI", "PNC", "DPANIC", "ALERT", "EMERG", "EMERGENCY"), "FATAL"
    ),
}
"""What loggers call their levels, and the names that this store searches by."""

LETTERS = {"T": "TRACE", "D": "DEBUG", "I": "INFO", "W": "WARN", "E": "ERROR", "F": "FATAL", "C": "CRITICAL"}
SYSLOG = ("FATAL", "FATAL", "CRITICAL", "ERROR", "WARN", "NOTICE", "INFO", "DEBUG")

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_TENS = {1: "TRACE", 2: "DEBUG", 3: "INFO", 4: "WARN", 5: "ERROR", 6: "FATAL"}
"""pino's, bunyan's and roarr's."""
_PYTHON = {1: "DEBUG", 2: "INFO", 3: "WARN", 4: "ERROR", 5: "FATAL"}
_HUNDREDS = {1: "DEBUG", 2: "INFO", 3: "WARN", 4: "ERROR", 5: "CRITICAL", 6: "FATAL"}
"""Monolog's; ten thousands, as Logback has them, begin with the same."""
_OPENTELEMETRY = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")


def uncoloured(text: str) -> str:
    """`text` without the codes that colour it in a terminal."""
    return _COLOURS.sub("", text) if "\x1b" in text else text


def severity(value: Any, name: str = "level") -> str:
    """The severity of a level as a word or a number; empty where it is neither.

    `name` is the field's, in lower case and without marks between its words. A word that is not known is
    answered in upper case.
    """
    if isinstance(value, str):
        word = uncoloured(value).strip()
        if re.fullmatch(r"[0-9]{1,9}", word):
            return _of_number(int(word), name)
        word = re.split(r"[+-]\d", word.upper())[0]
        return WORDS.get(word, word)
    if isinstance(value, dict):  # loguru's
        return next((severity(value[key]) for key in ("name", "value") if key in value), "")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _of_number(int(value), name)
    return ""


def known(word: str) -> bool:
    """Whether a severity has a place among the others."""
    return word in WORDS


def of_status(status: Any) -> str:
    """The severity of a request that was answered with `status`, as our services log it; empty for none."""
    try:
        number = int(status)
    except (TypeError, ValueError, OverflowError):
        return ""
    if not 100 <= number <= 599:
        return ""
    return "ERROR" if number >= 500 else "WARN" if number >= 400 else "INFO"


def _of_number(number: int, name: str) -> str:
    if name == "severitynumber" or (name == "severity" and number > 7 and number % 10):
        return _OPENTELEMETRY[(number - 1) // 4] if 1 <= number <= 24 else ""
    if 0 <= number <= 7:
        return SYSLOG[number]
    if number >= 10_000:
        return _HUNDREDS.get(number // 10_000, "")
    if number >= 100:
        return _HUNDREDS.get(number // 100, "")
    return (_PYTHON if name == "levelno" else _TENS).get(number // 10, "")
