"""The settings of `orders`."""

from __future__ import annotations

from dataclasses import dataclass

from observability.settings import PORT, between, setting
from services.messages import settings as broker
from services.storage import settings as storage
from services.storage.addresses import bearer, http_url


@dataclass(frozen=True)
class Settings:
    """What `orders` is told from outside. Times are in seconds."""

    host: str = setting("HOST", "127.0.0.1", help="The address to listen on.")
    port: int = setting("PORT", 5002, help="The port to listen on.", check=PORT)
    state_dir: str = storage.state_dir()
    database_url: str | None = storage.url("ORDERS_DATABASE_URL", "orders")
    database_connections: int = storage.connections("ORDERS_DATABASE_CONNECTIONS", 8)
    database_timeout: float = storage.timeout("ORDERS_DATABASE_TIMEOUT")
    nats_url: str = broker.url()
    nats_replicas: int = broker.replicas()
    nats_user: str | None = broker.user()
    nats_password: str | None = broker.password()
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
        return storage.address(self.database_url, self.state_dir, "orders")
