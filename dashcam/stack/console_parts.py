"""The parts of the running stack as the console's page sees and switches them.

What it needs of the stack is imported when the page is opened, and not before: it would take memory from
every `make up`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dashcam.console.parts import CannotSwitch

if TYPE_CHECKING:
    from dashcam.stack.lifecycle import Part, Plan
    from dashcam.stack.settings import Settings


class StackParts:
    """The parts of the stack of the environment, else of `settings`; `own` is the one of the console."""

    def __init__(self, own: str, settings: Settings | None = None, plan: Plan | None = None) -> None:
        self.own = own
        self._settings = settings
        self._plan = plan

    def all(self) -> Sequence[Part]:
        from dashcam.stack import lifecycle, programs

        with _told():
            return lifecycle.status(self._read(), self._plan or programs.programs).parts

    def stop(self, name: str) -> None:
        from dashcam.stack import lifecycle

        with _told():
            lifecycle.stop_part(self._read(), name, _silent)

    def start(self, name: str) -> None:
        from dashcam.stack import lifecycle, programs

        with _told():
            plan = self._plan or programs.programs
            lifecycle.start_part(self._read(), name, _silent, plan=plan, wait=False)

    def _read(self) -> Settings:
        from dashcam.stack.settings import read

        return self._settings or read()


def _silent(text: str) -> None:
    """What is said on the way is for a terminal."""


@contextmanager
def _told() -> Iterator[None]:
    from dashcam.stack.lifecycle import StackError
    from dashcam.stack.own_file import BadFile
    from dashcam.stack.supervision import SupervisorError
    from observability.settings import SettingError

    try:
        yield
    except (StackError, SupervisorError, SettingError, BadFile) as error:
        raise CannotSwitch(str(error)) from error
