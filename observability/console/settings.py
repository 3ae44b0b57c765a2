"""The console's settings: where it listens, what it asks, how much it shows."""

from __future__ import annotations

from dataclasses import dataclass

from observability.settings import between, setting
from observability.sources.settings import SourceSettings


@dataclass(frozen=True)
class ConsoleSettings(SourceSettings):
    """The settings of :func:`observability.console.register`."""

    host: str = setting("CONSOLE_HOST", "127.0.0.1", help="Address that `dashcam console` listens on.")
    threads: int = setting(
        "CONSOLE_THREADS", 8, check=between(2, 64), help="Threads of `dashcam console` that answer pages."
    )
    runbook_url: str = setting(
        "RUNBOOK_URL", "", help="Where runbooks are served, for an alert that links to a path only."
    )
