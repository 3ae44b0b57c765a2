"""Settings as data: frozen dataclasses read from the environment in one place.

A setting is a dataclass field made by :func:`setting`. It carries the name of its environment
variable, its default and a help line; :func:`from_environ` reads it, and `docs/configuration.md`
is generated from the same fields. An explicit argument beats the environment, and the environment
beats the default. An empty variable counts as unset, as the OpenTelemetry specification asks.
"""

from __future__ import annotations

import dataclasses
import os
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class SettingError(ValueError):
    """A setting has a value that cannot be used. The message names variable, value and remedy."""


def setting(
    env: str,
    default: Any = dataclasses.MISSING,
    *,
    help: str,
    secret: bool = False,
    parse: Callable[[str], Any] | None = None,
    check: Callable[[Any], str | None] | None = None,
) -> Any:
    """Declare one setting.

    `env` is the environment variable. `parse` turns its text into the value where the field's type
    (str, int, float, bool, or one of these or None) is not enough; it raises ValueError with a reason.
    `check` answers a complaint about a value, or None when it is fine; it also sees values given in code.
    A `secret` is left out of every repr.
    """
    metadata = {"env": env, "help": help, "secret": secret, "parse": parse, "check": check}
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


def from_environ(cls: type[T], environ: Mapping[str, str] | None = None, **overrides: Any) -> T:
    """Build the settings dataclass `cls` from `environ` (the process's own by default).

    `overrides` are explicit arguments by field name and win. Raises SettingError for a value that
    does not parse, does not pass its check, or is missing without a default.
    """
    environ = os.environ if environ is None else environ
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    raws: dict[str, str] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        if field.name in overrides:
            values[field.name] = overrides[field.name]
        elif raw := environ.get(field.metadata["env"], ""):
            values[field.name] = _parse(field, hints[field.name], raw)
            raws[field.name] = raw
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise SettingError(f"{field.metadata['env']} is not set: {field.metadata['help']}")
    if unknown := overrides.keys() - {field.name for field in dataclasses.fields(cls)}:  # type: ignore[arg-type]
        raise SettingError(f"{cls.__name__} has no setting named {', '.join(sorted(unknown))}")
    settings = cls(**values)
    _check(settings, raws)
    return settings


def between(low: float, high: float) -> Callable[[Any], str | None]:
    """A check that a number lies within [low, high]."""
    return lambda value: None if low <= value <= high else f"give a number from {low} to {high}"


def one_of(*allowed: str) -> Callable[[Any], str | None]:
    """A check that a text is one of `allowed`."""
    return lambda value: None if value in allowed else f"give one of {', '.join(allowed)}"


PORT = between(0, 65535)
"""The check of a TCP port; 0 asks the system for a free one."""


def _check(settings: Any, raws: Mapping[str, str]) -> None:
    """Raise for the first value that fails its check; the message shows it as it was written."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        check = field.metadata["check"]
        if check and value is not None and (complaint := check(value)):
            shown = _shown(field, raws.get(field.name, value))
            raise SettingError(f"{field.metadata['env']}={shown!r} cannot be used: {complaint}")


def _parse(field: dataclasses.Field[Any], hint: Any, raw: str) -> Any:
    try:
        parse = field.metadata["parse"]
        return parse(raw) if parse else _parse_as(_plain(hint), raw)
    except ValueError as error:
        shown = _shown(field, raw)
        raise SettingError(f"{field.metadata['env']}={shown!r} cannot be used: {error}") from None


def _plain(hint: Any) -> Any:
    """The one type beside None in `X | None`; the hint itself otherwise."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return next(arm for arm in typing.get_args(hint) if arm is not type(None))
    return hint


def _parse_as(kind: Any, raw: str) -> Any:
    if kind is bool:
        if raw.lower() in _TRUE | _FALSE:
            return raw.lower() in _TRUE
        raise ValueError("give true or false")
    if kind in (int, float):
        try:
            return kind(raw)
        except ValueError:
            raise ValueError("give a whole number" if kind is int else "give a number") from None
    return raw


def _shown(field: dataclasses.Field[Any], value: Any) -> Any:
    return "…" if field.metadata["secret"] else value
