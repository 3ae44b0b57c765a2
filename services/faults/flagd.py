"""An OpenFeature provider over a file of flags in flagd's format (https://flagd.dev/schema/v0/flags.json).

It understands `state`, `variants`, `defaultVariant`, `metadata`, and of `targeting` the operations of
:data:`OPERATIONS`. The file is read again when it has changed. A file that is missing has no flags; one
that cannot be read leaves the flags as they were, and a log line says why.
"""

from __future__ import annotations

import itertools
import json
import logging
import operator
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, ParseError, TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""How often the file's time of change is looked at, at most."""

T = TypeVar("T")


class BadFlags(ValueError):
    """The file is not one of flags. The message names the flag, what is wrong, and the remedy."""


@dataclass(frozen=True)
class Flag:
    """One flag. `default` is None where the file names no default variant: the caller's default counts."""

    key: str
    enabled: bool
    variants: Mapping[str, Any]
    default: str | None
    targeting: Any
    metadata: Mapping[str, Any]

    def variant(self, attributes: Mapping[str, Any]) -> tuple[str | None, bool]:
        """The variant for these attributes, and whether the targeting chose it."""
        if self.targeting:
            chosen = evaluate(self.targeting, attributes)
            if chosen is not None:
                name = str(chosen).lower() if isinstance(chosen, bool) else str(chosen)
                if name not in self.variants:
                    raise ParseError(f"the targeting of {self.key} chose {name!r}, which is no variant")
                return name, True
        return self.default, False


def parse(text: str) -> dict[str, Flag]:
    """The flags of a file by key. Raises BadFlags."""
    try:
        flags = json.loads(text)["flags"]
        return {str(key): _flag(str(key), value) for key, value in flags.items()}
    except BadFlags:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadFlags(
            f'not a file of flags ({error}): give {{"flags": {{...}}}}, as flagd reads it'
        ) from None


def _flag(key: str, value: Any) -> Flag:
    if not isinstance(value, dict) or not isinstance(value.get("variants"), dict) or not value["variants"]:
        raise BadFlags(f"the flag {key} has no variants: give variants by name")
    if value.get("state") not in ("ENABLED", "DISABLED"):
        raise BadFlags(f"the flag {key} has the state {value.get('state')!r}: give ENABLED or DISABLED")
    default = value.get("defaultVariant")
    if default is not None and default not in value["variants"]:
        raise BadFlags(f"the flag {key} has the default variant {default!r}: give one of its variants")
    _check_operations(key, value.get("targeting") or {})
    return Flag(
        key,
        value["state"] == "ENABLED",
        value["variants"],
        default,
        value.get("targeting") or {},
        value.get("metadata") or {},
    )


# -- targeting: JsonLogic --------------------------------------------------------------------------


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")  # as in JsonLogic: compares as false with everything


def _comparison(compare: Callable[[float, float], bool]) -> Callable[[Sequence[Any]], bool]:
    return lambda values: all(compare(_number(a), _number(b)) for a, b in itertools.pairwise(values))


OPERATIONS: dict[str, Callable[[Sequence[Any]], Any]] = {
    "==": lambda values: values[0] == values[1],
    "!=": lambda values: values[0] != values[1],
    ">": _comparison(operator.gt),
    ">=": _comparison(operator.ge),
    "<": _comparison(operator.lt),
    "<=": _comparison(operator.le),
    "!": lambda values: not values[0],
    "in": lambda values: values[0] in (values[1] or ()),
    "starts_with": lambda values: str(values[0]).startswith(str(values[1])),
    "ends_with": lambda values: str(values[0]).endswith(str(values[1])),
}
"""Operations whose arguments are all evaluated; `var`, `if`, `and` and `or` come on top."""

_LAZY = ("var", "if", "and", "or")


def evaluate(rule: Any, attributes: Mapping[str, Any]) -> Any:
    """The value of a JsonLogic rule. Unknown operations were refused when the file was read."""
    if isinstance(rule, list):
        return [evaluate(part, attributes) for part in rule]
    if not isinstance(rule, dict) or not rule:
        return rule
    name, given = next(iter(rule.items()))
    arguments = given if isinstance(given, list) else [given]
    if name == "var":
        return attributes.get(str(arguments[0]), arguments[1] if len(arguments) > 1 else None)
    if name == "if":
        return _chosen(arguments, attributes)
    if name in ("and", "or"):
        value: Any = None
        for part in arguments:
            value = evaluate(part, attributes)
            if bool(value) == (name == "or"):
                break
        return value
    return OPERATIONS[name]([evaluate(part, attributes) for part in arguments])


def _chosen(arguments: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    """`if`: condition, value, condition, value, ..., and the value of everything else."""
    for index in range(0, len(arguments) - 1, 2):
        if evaluate(arguments[index], attributes):
            return evaluate(arguments[index + 1], attributes)
    return evaluate(arguments[-1], attributes) if len(arguments) % 2 else None


def _check_operations(key: str, rule: Any) -> None:
    if isinstance(rule, list):
        for part in rule:
            _check_operations(key, part)
    elif isinstance(rule, dict) and rule:
        name, given = next(iter(rule.items()))
        if len(rule) != 1 or (name not in OPERATIONS and name not in _LAZY):
            known = ", ".join((*_LAZY, *OPERATIONS))
            raise BadFlags(f"the targeting of {key} uses {name!r}, which is not supported: use {known}")
        _check_operations(key, given)


# -- the provider ----------------------------------------------------------------------------------


class FlagFile(AbstractProvider):
    """Flags from the file at `path`, read again when it has changed. `clock` is there for tests."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.path = path
        self._clock = clock
        self._looked = float("-inf")
        self._state: tuple[int, int, int] | None = None
        self._flags: Mapping[str, Flag] = {}

    def flags(self) -> Mapping[str, Flag]:
        """The flags of the file as it is now, or was LOOK_SECONDS ago at most."""
        now = self._clock()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._look()
        return self._flags

    def _look(self) -> None:
        try:
            found = os.stat(self.path)
        except OSError:
            self._state, self._flags = None, {}
            return
        state = (found.st_mtime_ns, found.st_ino, found.st_size)
        if state == self._state:
            return
        self._state = state
        try:
            self._flags = parse(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            logger.error("the flags of %s stay as they were: %s", self.path, error)

    def get_metadata(self) -> Metadata:
        return Metadata("flagd-file")

    def _resolve(
        self, key: str, default: T, context: EvaluationContext | None, kinds: tuple[type, ...]
    ) -> FlagResolutionDetails[T]:
        flag = self.flags().get(key)
        if flag is None:
            raise FlagNotFoundError(f"{self.path} has no flag {key}")
        if not flag.enabled:
            return FlagResolutionDetails(default, reason=Reason.DISABLED, flag_metadata=flag.metadata)
        name, targeted = flag.variant(dict(context.attributes) if context else {})
        if name is None:
            return FlagResolutionDetails(default, reason=Reason.DEFAULT, flag_metadata=flag.metadata)
        value: T = flag.variants[name]
        if type(flag.variants[name]) not in kinds:
            raise TypeMismatchError(f"the variant {name} of {key} is {value!r}")
        reason = Reason.TARGETING_MATCH if targeted else Reason.STATIC
        return FlagResolutionDetails(value, reason=reason, variant=name, flag_metadata=flag.metadata)

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        return self._resolve(flag_key, default_value, evaluation_context, (bool,))

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return self._resolve(flag_key, default_value, evaluation_context, (str,))

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return self._resolve(flag_key, default_value, evaluation_context, (int,))

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        return self._resolve(flag_key, default_value, evaluation_context, (int, float))

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        return self._resolve(flag_key, default_value, evaluation_context, (dict, list))
