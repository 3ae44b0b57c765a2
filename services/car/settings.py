"""The settings of `car`."""

from __future__ import annotations

from dataclasses import dataclass

from observability.settings import PORT, between, setting
from services.storage import settings as storage
from services.storage.addresses import bearer, http_url


@dataclass(frozen=True)
class Settings:
    """What `car` is told from outside. Times are in seconds, sizes in bytes."""

    host: str = setting("HOST", "127.0.0.1", help="The address to listen on.")
    port: int = setting("PORT", 5001, help="The port to listen on.", check=PORT)
    state_dir: str = storage.state_dir()
    database_url: str | None = storage.url("DATABASE_URL", "car")
    database_connections: int = storage.connections("CAR_DATABASE_CONNECTIONS", 8)
    database_timeout: float = storage.timeout("CAR_DATABASE_TIMEOUT")
    examples: bool = setting("CAR_EXAMPLES", True, help="Fill a new database with example cars.")
    max_body: int = setting(
        "CAR_MAX_BODY", 1024 * 1024, help="Bytes a request may carry.", check=between(1024, 64 * 1024 * 1024)
    )
    write_token: str | None = setting(
        "CAR_WRITE_TOKEN",
        None,
        help="The bearer token that changes need; none asks for none.",
        secret=True,
        check=bearer,
    )
    minus_url: str = setting("MINUS_URL", "http://127.0.0.1:8000", help="Where minus is.", check=http_url)
    minus_timeout: float = setting(
        "MINUS_TIMEOUT", 1.0, help="Seconds that one attempt to ask minus may take.", check=between(0.01, 60)
    )
    minus_deadline: float = setting(
        "MINUS_DEADLINE", 2.5, help="Seconds that all attempts may take together.", check=between(0.01, 120)
    )
    minus_attempts: int = setting(
        "MINUS_ATTEMPTS", 3, help="Attempts to ask minus at most.", check=between(1, 10)
    )
    minus_failures: int = setting(
        "MINUS_CIRCUIT_FAILURES",
        5,
        help="Failed calls in a row after which minus is left alone.",
        check=between(1, 1000),
    )
    minus_recovery: float = setting(
        "MINUS_CIRCUIT_RECOVERY",
        10.0,
        help="Seconds that minus is left alone before one call tries it again.",
        check=between(0.1, 600),
    )

    @property
    def database(self) -> str:
        """The SQLAlchemy address of the database."""
        return storage.address(self.database_url, self.state_dir, "car")
