"""The settings of a service that speaks by messages."""

from __future__ import annotations

from typing import Any

from observability.settings import between, setting
from services.storage.addresses import broker_url


def url() -> Any:
    """The setting of the broker's address."""
    return setting("NATS_URL", "nats://127.0.0.1:4222", help="Where the message broker is.", check=broker_url)


def replicas() -> Any:
    """The setting of how often the broker keeps a message."""
    return setting(
        "NATS_REPLICAS", 1, help="Servers of the broker that keep each message.", check=between(1, 5)
    )
