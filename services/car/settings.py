"""The settings of `car`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from observability.settings import PORT, between, setting
from services.storage.addresses import bearer, database_url, http_url


@dataclass(frozen=True)
class Settings:
    """What `car` is told from outside. Times are in seconds, sizes in bytes."""

    host: str = setting("HOST", "127.0.0.1", help="The address to listen on.")
    port: int = setting("PORT", 5001, help="The port to listen on.", check=PORT)
    state_dir: str = setting("DASHCAM_STATE_DIR", ".dashcam", help="The folder of the default database.")
    database_url: str | None = setting(
        "DATABASE_URL",
        None,
        help="The database: sqlite:///path or postgresql://user:password@host:5432/name. "
        "By default car.sqlite3 in the state folder.",
        secret=True,
        parse=database_url,
    )
    database_connections: int = setting(
        "CAR_DATABASE_CONNECTIONS", 8, help="Connections a worker opens at most.", check=between(1, 200)
    )
    database_timeout: float = setting(
        "CAR_DATABASE_TIMEOUT",
        5.0,
        help="Seconds that a transaction waits at most: for a connection, locks and its statements.",
        check=between(0.1, 60),
    )
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
        if self.database_url:
            return database_url(self.database_url)
        return "sqlite:///" + str(Path(self.state_dir) / "car.sqlite3")
