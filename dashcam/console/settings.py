"""The console's settings: where it listens, what it asks, how much it shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dashcam.host_guard import further_names
from dashcam.sources.settings import SourceSettings
from observability.settings import between, setting


@dataclass(frozen=True)
class ConsoleSettings(SourceSettings):
    """Where the console listens, which sources it asks and what it serves."""

    host: str = setting("CONSOLE_HOST", "127.0.0.1", help="Address that `dashcam console` listens on.")
    allowed_hosts: tuple[str, ...] = further_names()
    threads: int = setting(
        "CONSOLE_THREADS", 8, check=between(2, 64), help="Threads of `dashcam console` that answer pages."
    )
    runbooks_dir: str | None = setting(
        "RUNBOOKS_DIR",
        None,
        help="Folder of the runbooks served at /runbooks/{name}. Default: dashboards/runbooks.",
    )

    kept_dir: str | None = setting(
        "DASHCAM_CONSOLE_KEPT",
        None,
        help="Folder of saved searches and pinned traces. Unset: nothing can be saved. `make up` names one.",
    )
    grafana_url: str | None = setting(
        "GRAFANA_URL", None, help="Grafana's address, for the links to dashboards on a service's page."
    )

    @property
    def runbooks(self) -> Path:
        """The folder of the runbooks that alerts link to."""
        beside = Path(__file__).resolve().parents[2] / "dashboards" / "runbooks"
        return Path(self.runbooks_dir) if self.runbooks_dir else beside
