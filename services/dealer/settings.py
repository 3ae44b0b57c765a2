"""The settings of `dealer`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from observability.settings import PORT, between, setting
from services.storage.addresses import broker_url, database_url


@dataclass(frozen=True)
class Settings:
    """What `dealer` is told from outside. Times are in seconds."""

    host: str = setting("HOST", "127.0.0.1", help="The address to listen on.")
    port: int = setting("PORT", 5003, help="The port to listen on.", check=PORT)
    state_dir: str = setting("DASHCAM_STATE_DIR", ".dashcam", help="The folder of the default database.")
    database_url: str | None = setting(
        "DEALER_DATABASE_URL",
        None,
        help="The database: sqlite:///path or postgresql://user:password@host:5432/name. "
        "By default dealer.sqlite3 in the state folder.",
        secret=True,
        parse=database_url,
    )
    database_connections: int = setting(
        "DEALER_DATABASE_CONNECTIONS", 4, help="Connections a worker opens at most.", check=between(1, 200)
    )
    database_timeout: float = setting(
        "DEALER_DATABASE_TIMEOUT",
        5.0,
        help="Seconds that a transaction waits at most: for a connection, locks and its statements.",
        check=between(0.1, 60),
    )
    nats_url: str = setting(
        "NATS_URL", "nats://127.0.0.1:4222", help="Where the message broker is.", check=broker_url
    )
    nats_replicas: int = setting(
        "NATS_REPLICAS", 1, help="Servers of the broker that keep each message.", check=between(1, 5)
    )
    limit: int = setting(
        "DEALER_LIMIT",
        100_000,
        help="The price, in whole units, above which the dealer refuses an order.",
        check=between(0, 10**12),
    )

    @property
    def database(self) -> str:
        """The SQLAlchemy address of the database."""
        return self.database_url or "sqlite:///" + str(Path(self.state_dir) / "dealer.sqlite3")
