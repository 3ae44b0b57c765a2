"""The settings of `minus`."""

from __future__ import annotations

from dataclasses import dataclass

from observability.settings import PORT, setting


@dataclass(frozen=True)
class Settings:
    """What `minus` is told from outside."""

    host: str = setting("HOST", "127.0.0.1", help="The address to listen on.")
    port: int = setting("PORT", 8000, help="The port to listen on.", check=PORT)
