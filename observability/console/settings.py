"""The console's settings: where it listens, what it asks, how much it shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from observability.settings import between, setting
from observability.sources.settings import SourceSettings


@dataclass(frozen=True)
class ConsoleSettings(SourceSettings):
    """The settings of :func:`observability.console.register`."""

    host: str = setting("CONSOLE_HOST", "127.0.0.1", help="Address that `dashcam console` listens on.")
    threads: int = setting(
        "CONSOLE_THREADS", 8, check=between(2, 64), help="Threads of `dashcam console` that answer pages."
    )
    runbooks: str = setting(
        "RUNBOOKS_DIR",
        str(Path(__file__).resolve().parents[2] / "dashboards" / "runbooks"),
        help="Folder of the runbooks that alerts link to, served at /runbooks/{name}.",
    )
