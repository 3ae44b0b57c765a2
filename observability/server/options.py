"""The settings of the server."""

from __future__ import annotations

from dataclasses import dataclass

from observability.settings import between, setting


@dataclass(frozen=True)
class ServerSettings:
    """How the server of a service runs. Times are in seconds."""

    workers: int = setting(
        "WEB_CONCURRENCY", 1, help="Worker processes of the server.", check=between(1, 512)
    )
    threads: int = setting(
        "SERVER_THREADS",
        8,
        help="Threads of one worker that answer requests: how many requests it works on at once.",
        check=between(1, 1024),
    )
    grace: float = setting(
        "DASHCAM_GRACE_PERIOD",
        10.0,
        help="Seconds that requests in flight may take to finish once SIGTERM came.",
        check=between(0.0, 3600.0),
    )
    flush: float = setting(
        "DASHCAM_SHUTDOWN_TIMEOUT",
        5.0,
        help="Seconds that flushing the telemetry may take after that.",
        check=between(0.0, 600.0),
    )

    @property
    def bound(self) -> float:
        """Seconds from SIGTERM to the end of the process, whatever hangs."""
        return self.grace + self.flush + 2
