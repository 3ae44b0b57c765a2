"""An OpenFeature provider over a file of flags in flagd's format (https://flagd.dev/schema/v0/flags.json).

What the flags mean is up to OpenFeature's own evaluator, `openfeature-flagd-core`. The file is read again
when it has changed. A file that is missing has no flags; one that cannot be read leaves the flags as they
were, and a single flag that cannot be used is left out: a log line says why.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.contrib.tools.flagd.core.model import Flag, FlagStore
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.provider import AbstractProvider, Metadata

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""How often the file's time of change is looked at, at most."""


class BadFlags(ValueError):
    """The file is not one of flags. The message says what is wrong, and the remedy."""


class FlagFile(AbstractProvider):
    """Flags from the file at `path`, read again when it has changed. `clock` is there for tests."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.path = path
        self._clock = clock
        self._looked = float("-inf")
        self._state: tuple[int, int, int] | None = None
        self._flags: Mapping[str, Flag] = {}
        self._core = FlagdCore()

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
            self._state, self._flags, self._core = None, {}, FlagdCore()
            return
        state = (found.st_mtime_ns, found.st_ino, found.st_size)
        if state == self._state:
            return
        self._state = state
        try:
            self._core, self._flags = self._read()
        except Exception as error:  # it is raised in a request, to which the file is no concern
            logger.error("the flags of %s stay as they were: %s", self.path, error)

    def _read(self) -> tuple[FlagdCore, Mapping[str, Flag]]:
        document = _usable(self.path.read_text(encoding="utf-8"))
        core, store = FlagdCore(), FlagStore()
        core.set_flags(json.dumps(document))
        store.update(document)  # the same once more: the core does not show what it holds
        return core, store.flags

    def _asked(self) -> FlagdCore:
        self.flags()
        return self._core

    def get_metadata(self) -> Metadata:
        return Metadata("flagd-file")

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        return self._asked().resolve_boolean_value(flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return self._asked().resolve_string_value(flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return self._asked().resolve_integer_value(flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        return self._asked().resolve_float_value(flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        return self._asked().resolve_object_value(flag_key, default_value, evaluation_context)


def _usable(text: str) -> dict[str, Any]:
    """The document without the flags that the evaluator refuses, which would take the others with them.

    Raises BadFlags where there is no such document.
    """
    try:
        document = json.loads(text)
        given = dict(document["flags"])
    except (ValueError, KeyError, TypeError) as error:
        remedy = 'give {"flags": {...}}, as flagd reads it'
        raise BadFlags(f"not a file of flags ({error}): {remedy}") from None
    usable = {}
    for key, flag in given.items():
        try:
            # A copy: the evaluator renames what it reads.
            FlagStore().update(json.loads(json.dumps({**document, "flags": {key: flag}})))
        except Exception as error:  # whatever the evaluator stumbles over, it is this flag's
            logger.error("the flag %s is left out: %s", key, error.__cause__ or error)
        else:
            usable[key] = flag
    return {**document, "flags": usable}
