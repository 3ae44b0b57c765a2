"""Asking several sources at once, within one time limit, and keeping each one's failure apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any

from dashcam.sources import SourceAway, SourceError

WORKERS = 12
"""Questions asked at a time. They wait for other programs, so more than there are cores."""


@dataclass(frozen=True)
class Outcome:
    """What one question came to: a value, or the error of the source that did not give it."""

    value: Any = None
    error: SourceError | None = None

    @property
    def ok(self) -> bool:
        return self.error is None

    def or_else(self, default: Any) -> Any:
        """The value, or `default` where there is an error."""
        return self.value if self.error is None else default


class Gatherer:
    """A small pool of threads that asks sources. Its threads start with the first question."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="console-source")

    def ask(self, **questions: Callable[[], Any]) -> Mapping[str, Outcome]:
        """Call all `questions` at once; an Outcome for each, by name, within the time limit."""
        deadline = time.monotonic() + self._timeout + 1.0
        futures = {name: self._pool.submit(question) for name, question in questions.items()}
        return {name: self._outcome(name, future, deadline) for name, future in futures.items()}

    def _outcome(self, name: str, future: Future[Any], deadline: float) -> Outcome:
        try:
            return Outcome(future.result(timeout=max(0.0, deadline - time.monotonic())))
        except SourceError as error:
            return Outcome(error=error)
        except FutureTimeout:
            future.cancel()
            reason = f"no answer to {name!r} within {self._timeout:g} s"
            return Outcome(
                error=SourceAway("A source", "this console", reason, "Try again, or a shorter time.")
            )


def first_error(*outcomes: Outcome) -> SourceError | None:
    """The first error among `outcomes`, for a panel that needs them all."""
    return next((outcome.error for outcome in outcomes if outcome.error), None)
