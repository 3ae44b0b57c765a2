"""The settings of `dealer`."""

from __future__ import annotations

from dataclasses import dataclass

from observability.settings import PORT, between, setting
from services.messages import settings as broker
from services.storage import settings as storage


@dataclass(frozen=True)
class Settings:
    """What `dealer` is told from outside. Times are in seconds."""

    host: str = setting("HOST", "127.0.0.1", help="The address to listen on.")
    port: int = setting("PORT", 5003, help="The port to listen on.", check=PORT)
    state_dir: str = storage.state_dir()
    database_url: str | None = storage.url("DEALER_DATABASE_URL", "dealer")
    database_connections: int = storage.connections("DEALER_DATABASE_CONNECTIONS", 4)
    database_timeout: float = storage.timeout("DEALER_DATABASE_TIMEOUT")
    nats_url: str = broker.url()
    nats_replicas: int = broker.replicas()
    nats_user: str | None = broker.user()
    nats_password: str | None = broker.password()
    limit: int = setting(
        "DEALER_LIMIT",
        100_000,
        help="The price, in whole units, above which the dealer refuses an order.",
        check=between(0, 10**12),
    )

    @property
    def database(self) -> str:
        """The SQLAlchemy address of the database."""
        return storage.address(self.database_url, self.state_dir, "dealer")
