"""The settings of `orders`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from observability.settings import PORT, between, setting
from services.storage.addresses import bearer, broker_url, database_url, http_url


@dataclass(frozen=True)
class Settings:
    """What `orders` is told from outside. Times are in seconds."""

    host: str = setting("HOST", "127.0.0.1", help="The address to listen on.")
    port: int = setting("PORT", 5002, help="The port to listen on.", check=PORT)
    state_dir: str = setting("DASHCAM_STATE_DIR", ".dashcam", help="The folder of the default database.")
    database_url: str | None = setting(
        "ORDERS_DATABASE_URL",
        None,
        help="The database: sqlite:///path or postgresql://user:password@host:5432/name. "
        "By default orders.sqlite3 in the state folder.",
        secret=True,
        parse=database_url,
    )
    database_connections: int = setting(
        "ORDERS_DATABASE_CONNECTIONS", 8, help="Connections a worker opens at most.", check=between(1, 200)
    )
    database_timeout: float = setting(
        "ORDERS_DATABASE_TIMEOUT",
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
    car_url: str = setting("CAR_URL", "http://127.0.0.1:5001", help="Where car is.", check=http_url)
    car_timeout: float = setting(
        "ORDERS_CAR_TIMEOUT", 3.0, help="Seconds that one request to car may take.", check=between(0.05, 8)
    )
    car_write_token: str | None = setting(
        "CAR_WRITE_TOKEN",
        None,
        help="The bearer token with which `car` accepts changes.",
        secret=True,
        check=bearer,
    )
    deadline: float = setting(
        "ORDERS_DEADLINE",
        20.0,
        help="Seconds after which an order that is not confirmed is taken back.",
        check=between(1, 86_400),
    )
    attempts: int = setting(
        "ORDERS_ATTEMPTS",
        5,
        help="Attempts of a step at most; what takes an order back is tried until it succeeds.",
        check=between(1, 100),
    )

    @property
    def database(self) -> str:
        """The SQLAlchemy address of the database."""
        return self.database_url or "sqlite:///" + str(Path(self.state_dir) / "orders.sqlite3")
