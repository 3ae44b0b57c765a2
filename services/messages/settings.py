"""The settings of a service that speaks by messages."""

from __future__ import annotations

from typing import Any, Protocol

from observability.settings import between, setting
from services.storage.addresses import broker_url


class Told(Protocol):
    """What a service is told of the broker."""

    @property
    def nats_url(self) -> str:
        """Its addresses."""

    @property
    def nats_replicas(self) -> int:
        """How many of its servers keep each message."""

    @property
    def nats_user(self) -> str | None:
        """Who the service is to it."""

    @property
    def nats_password(self) -> str | None:
        """The password of that user."""


def url() -> Any:
    """The setting of the broker's addresses."""
    return setting(
        "NATS_URL",
        "nats://127.0.0.1:4222",
        help="Where the message broker is; several servers of a cluster are separated by commas.",
        check=broker_url,
    )


def replicas() -> Any:
    """The setting of how often the broker keeps a message."""
    return setting(
        "NATS_REPLICAS", 1, help="Servers of the broker that keep each message.", check=between(1, 5)
    )


def user() -> Any:
    """The setting of who the service is to the broker."""
    return setting("NATS_USER", None, help="The user at the broker; none where it asks for none.")


def password() -> Any:
    """The setting of that user's password."""
    return setting("NATS_PASSWORD", None, help="That user's password.", secret=True)
