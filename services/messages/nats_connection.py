"""The connection to NATS, made again for ever: also after an error at which nats-py closes it for good."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from nats.aio.client import Client
from nats.errors import Error as NatsError

logger = logging.getLogger(__name__)

PORT = 4222
"""Where a server listens whose address names no port."""
CALL = 5.0
"""Seconds that a call of the broker may take."""
LOOK_EVERY = 1.0
"""Seconds between two looks whether what is away is back: the connection, the database of a consumer."""


class Connection:
    """A connection to one of the servers at `urls`, as `login` (user and password, or None).

    `on_connected` is awaited each time that there is one. It goes on until `ended` is set.
    """

    def __init__(
        self,
        urls: str,
        name: str,
        login: tuple[str | None, str | None],
        on_connected: Callable[[], Awaitable[None]],
    ) -> None:
        self._urls, self._name, self._login, self._on_connected = urls, name, login, on_connected
        self._refused = ""
        self.ended = False
        self._begin()

    def _begin(self) -> None:
        self.client = Client()
        self.stream = self.client.jetstream(timeout=CALL)

    @property
    def is_connected(self) -> bool:
        """Whether there is one now."""
        return self.client.is_connected

    async def stay(self) -> None:
        """Be connected, again and again."""
        while not self.ended:
            try:
                await self._connect()
                while not self.client.is_closed:
                    await asyncio.sleep(LOOK_EVERY)
                reason = self.client.last_error or "it says nothing"
            except Exception as error:
                reason = error
            if self.ended:
                return
            text = "the connection to the broker at %s was closed for good, and a new one is made: %s"
            logger.critical(text, self._urls, reason)
            await asyncio.sleep(LOOK_EVERY)
            with suppress(Exception):
                await self.client.close()
            self._begin()

    async def close(self) -> None:
        """Let go of it."""
        if self.client.is_connected:
            with suppress(NatsError, OSError):
                await self.client.close()

    async def _connect(self) -> None:
        user, password = self._login
        await self.client.connect(
            self._urls.split(","),
            name=self._name,
            user=user,
            password=password,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            connect_timeout=2,
            ping_interval=10,
            max_outstanding_pings=2,
            error_cb=self._failed,
            disconnected_cb=self._disconnected,
            reconnected_cb=self._connected,
        )
        await self._connected()

    async def _connected(self) -> None:
        self._refused = ""
        logger.info("connected to the broker at %s", self._urls)
        await self._on_connected()

    async def _disconnected(self) -> None:
        if not self.ended:
            logger.warning("the broker at %s is gone", self._urls)

    async def _failed(self, error: Exception) -> None:
        # What the server says, a wrong password for example, is said once; that it is away is said elsewhere.
        new = isinstance(error, NatsError) and str(error) != self._refused
        self._refused = str(error) if new else self._refused
        logger.log(logging.WARNING if new else logging.DEBUG, "the broker: %s", error)


def said(error: BaseException) -> str:
    """The first line of what an error says, or its type where it says nothing."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
