"""Liveness and readiness.

A service is alive while its process answers. It is ready from when its server listens, while every
dependency that it cannot work without answers, and until it is told to stop. Each check has a time
limit, all run side by side, and a result is used again for a moment, so that no prober can load a
dependency.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.instrumentation.utils import suppress_instrumentation

from observability import redaction, schema
from observability.metrics.meters import Families

Check = Callable[[], Any]


@dataclass(frozen=True)
class Outcome:
    """What one check found. `seconds` is how long it took, `error` why it failed."""

    ok: bool
    seconds: float
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"ok": self.ok, "duration": round(self.seconds, 6)}
        return found if self.error is None else {**found, "error": self.error}


class Readiness:
    """The readiness of one service.

    `checks` maps a dependency's name to a callable that raises, or answers False, when the service
    cannot work without the dependency and it is away. `timeout` and `cache` are seconds. With `starting`,
    the service is not ready before `start` is called.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        families: Families,
        *,
        timeout: float = 2.0,
        cache: float = 1.0,
        starting: bool = False,
    ) -> None:
        self._checks = {name: _Running(check) for name, check in checks.items()}
        self._timeout = timeout
        self._cache = cache
        self._up = families.metric(schema.DEPENDENCY_UP) if checks else None
        self._lock = threading.Lock()
        self._known: tuple[float, dict[str, Outcome]] | None = None
        self._started = threading.Event()
        self._stopping = threading.Event()
        if not starting:
            self._started.set()

    def start(self) -> None:
        """From now on the checks alone say whether the service is ready."""
        self._started.set()

    def stop(self) -> None:
        """From now on the service is not ready, so that no new requests are sent to it."""
        self._stopping.set()

    def outcomes(self) -> dict[str, Outcome]:
        """The result of each check, no older than the cache allows. Takes at most the time limit."""
        with self._lock:
            if self._known is not None and time.monotonic() < self._known[0]:
                return self._known[1]
            deadline = time.monotonic() + self._timeout
            for check in self._checks.values():
                check.start()
            found = {name: check.result(deadline, self._timeout) for name, check in self._checks.items()}
            for name, outcome in found.items():
                if self._up is not None:
                    self._up.labels(dependency=name).set(outcome.ok)
            self._known = (time.monotonic() + self._cache, found)
            return found

    def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether the service is ready, and why, as /readyz answers it."""
        if self._stopping.is_set():
            return False, {"status": "stopping", "dependencies": {}}
        if not self._started.is_set():
            return False, {"status": "starting", "dependencies": {}}
        found = self.outcomes()
        ready = all(outcome.ok for outcome in found.values())
        shown = {name: outcome.as_dict() for name, outcome in found.items()}
        return ready, {"status": "ready" if ready else "not ready", "dependencies": shown}


class _Running:
    """One check, at most once at a time: a check that hangs is waited for, not started again."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._thread: threading.Thread | None = None
        self._outcome: Outcome | None = None

    def start(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        self._outcome = None
        self._thread = threading.Thread(target=self._run, name="readiness", daemon=True)
        self._thread.start()

    def result(self, deadline: float, timeout: float) -> Outcome:
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))
        return self._outcome or Outcome(False, timeout, f"no answer within {timeout:g} s")

    def _run(self) -> None:
        began = time.perf_counter()
        try:
            with suppress_instrumentation():  # a probe leaves no spans and no samples
                answer = self._check()
            error = "the check answered False" if answer is False else None
        except Exception as failure:
            error = redaction.text(f"{type(failure).__name__}: {failure}")[:300]
        self._outcome = Outcome(error is None, time.perf_counter() - began, error)
