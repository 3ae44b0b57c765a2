"""What the page of the parts needs of whatever started them; `make up` mounts its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Part(Protocol):
    """One program: whether it is ready, what it does, why, since when in epoch seconds, and where it is."""

    @property
    def name(self) -> str: ...
    @property
    def ready(self) -> bool: ...
    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def since(self) -> float: ...
    @property
    def restarts(self) -> int: ...
    @property
    def address(self) -> str: ...
    @property
    def about(self) -> str: ...


class CannotSwitch(RuntimeError):
    """A part could not be started or stopped; the message says why."""


class Parts(Protocol):
    """The programs of a stack. Each method raises CannotSwitch."""

    own: str
    """The part that this console runs in, which cannot be stopped from it."""

    def all(self) -> Sequence[Part]:
        """Every part, in the order in which it is shown."""

    def stop(self, name: str) -> None:
        """End a part; returns once it has ended."""

    def start(self, name: str) -> None:
        """Start a part that is not running; returns at once."""
