"""The stack trace of any logger's line as one text: given as text, as a list of lines, or as frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dashcam.store.foreign_names import common, names
from dashcam.store.severities import uncoloured

STACKS = names(
    "excinfo @x stacktrace errorstacktrace extendedstacktrace exception stack backtrace traceback "
    "error err thrown throwable exc text"
)
"""What loggers call it, what says most first."""

_FRAMES = ("steparray", "frames")
_KINDS = ("classname", "type", "exctype", "name")
_WORDS = ("message", "excvalue", "msg")
_CAUSES = ("cause",)
_FUNCTIONS = ("methodname", "method", "func", "function", "fn", "name")
_CLASSES = ("classname", "class")
_FILES = ("filename", "file", "source")
_LINES = ("linenumber", "lineno", "line")
_CAUSED, _DEEPEST = "Caused by: ", 5
"""How many causes are followed."""


def text_of(value: Any, deepest: int = _DEEPEST) -> str:
    """The text of a stack trace, or of an error that has one; empty for what is none."""
    if isinstance(value, str):
        return uncoloured(value) if "\n" in value.strip() else ""
    if isinstance(value, list):
        return _of_list(value, deepest)
    return _of_error(value, deepest) if isinstance(value, dict) and deepest > 0 else ""


def _of_list(values: list[Any], deepest: int) -> str:
    if len(values) > 1 and all(isinstance(one, str) for one in values):
        return "\n".join(values)
    if not values or not all(isinstance(one, dict) for one in values):
        return ""
    frames = [_frame(_named(one)) for one in values]
    if all(frames):
        return "\n".join(frames)
    return _CAUSED.join(f"{text}\n" for one in values if (text := text_of(one, deepest - 1))).rstrip()


def _of_error(error: Mapping[str, Any], deepest: int) -> str:
    named = _named(error)
    for name in (*STACKS, *_FRAMES):
        if text := text_of(named.get(name), deepest - 1):
            if isinstance(named[name], list) and (head := _head(named)):
                text = f"{head}\n{text}"
            cause = next((text_of(named[name], deepest - 1) for name in _CAUSES if name in named), "")
            return f"{text}\n{_CAUSED}{cause}" if cause else text
    return ""


def _head(named: Mapping[str, Any]) -> str:
    return ": ".join(str(one) for names in (_KINDS, _WORDS) if (one := _first(named, names)))


def _frame(named: Mapping[str, Any]) -> str:
    """A frame as Java and JavaScript write it; empty for what is none."""
    function, file, line = (_first(named, names) for names in (_FUNCTIONS, _FILES, _LINES))
    if not function or not (file or line):
        return ""
    where = ".".join(str(one) for one in (_first(named, _CLASSES), function) if one)
    return f"    at {where}({':'.join(str(one) for one in (file, line) if one)})"


def _first(named: Mapping[str, Any], names: Iterable[str]) -> Any:
    found = (named[name] for name in names if name in named)
    return next((one for one in found if isinstance(one, str | int)), None)


def _named(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {common(key): value for key, value in reversed(list(fields.items())) if value not in (None, "")}
