"""The settings of the composite."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from observability.settings import PORT, between, setting


@dataclass(frozen=True)
class Settings:
    """What the composite is told from outside."""

    host: str = setting("HOST", "127.0.0.1", help="The address to listen on.")
    port: int = setting("PORT", 5002, help="The port to listen on.", check=PORT)
    state_dir: str = setting("DASHCAM_STATE_DIR", ".dashcam", help="The folder of the database.")
    limit: int = setting(
        "DEALER_LIMIT", 100_000, help="The price above which an order is refused.", check=between(0, 10**12)
    )

    @property
    def database(self) -> str:
        """The SQLAlchemy address of the database."""
        return "sqlite:///" + str(Path(self.state_dir) / "composite.sqlite3")
