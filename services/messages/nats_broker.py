"""NATS JetStream: publishes with confirmation, delivers each message until it is acknowledged.

nats-py is asynchronous and a service is not: one thread runs its loop, and what is called here waits for
what happens there. The server may be away at any time, at the start too: the connection is made again for
ever (nats_connection), and streams and consumers that it has lost are made anew.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig
from nats.js.errors import APIError, BadRequestError

from services.messages import streams
from services.messages.consumer import KEY_HEADER
from services.messages.envelope import Again, BrokerAway, Delivery, Depth, Message, Verdict
from services.messages.nats_connection import CALL, LOOK_EVERY, PORT, Connection, said
from services.messages.refusals import refusal
from services.messages.settings import Told
from services.messages.streams import STREAM, STREAMS

logger = logging.getLogger(__name__)

T = TypeVar("T")

ACK_WAIT = 30.0
"""Seconds after which a delivery that was not acknowledged is made again."""
PULL = 5.0
"""Seconds that one request for a message waits at the server."""
FAILED = 5.0
"""Seconds after which a message comes again whose processing failed in a way that nobody expected."""
FINISH = 3.0
"""Seconds that a message which is being processed may take at the end."""

_AWAY = (NatsError, OSError, TimeoutError, CancelledError)
"""What a call of the broker raises; the last when the connection is closed for good meanwhile."""


class Nats:
    """The broker at `url`, for the service `name`. `replicas` servers keep each message.

    Several servers of a cluster are separated by commas. `user` and `password` are for those that ask.
    """

    def __init__(
        self, url: str, name: str, replicas: int = 1, user: str | None = None, password: str | None = None
    ) -> None:
        self._url, self._replicas = url, replicas
        self._connection = Connection(url, name, (user, password), self._make_streams)
        self._ended = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._processing: set[asyncio.Task[None] | None] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._thread.start()
        self._spawn(self._connection.stay())

    @classmethod
    def of(cls, told: Told, name: str) -> Nats:
        """The broker that a service is told of."""
        return cls(told.nats_url, name, told.nats_replicas, told.nats_user, told.nats_password)

    @property
    def server(self) -> tuple[str, int]:
        """Its host and port: of several servers, the first one's."""
        first = urlsplit(self._url.split(",")[0])
        return first.hostname or "", first.port or PORT

    def publish(self, message: Message, data: bytes) -> None:
        """Give a message to the broker; it has it when this returns. Raises BrokerAway or BrokerFull."""
        headers = {**message.headers, "Nats-Msg-Id": message.id, KEY_HEADER: message.key}
        try:
            self._wait(
                self._connection.stream.publish(message.destination, data, timeout=CALL, headers=headers),
                CALL + 1,
            )
        except _AWAY as error:
            kind = refusal(error.err_code if isinstance(error, APIError) else None)
            raise kind(f"{self._url} does not confirm {message.id}: {said(error)}") from error

    def consume(
        self,
        destination: str,
        group: str,
        process: Callable[[Delivery], Verdict],
        ready: Callable[[], None],
    ) -> None:
        """Have `process` called with each message of a queue, one at a time, in a thread of its own.

        None is taken while `ready` raises.
        """
        self._spawn(self._pull(destination, group, process, ready))

    def depth(self, destination: str, group: str) -> Depth:
        """What waits in a queue. Raises BrokerAway."""
        return self._asked(streams.depth(self._connection.stream, destination, group))

    def used(self) -> dict[str, float]:
        """Which share of its room each stream takes. Raises BrokerAway."""
        return self._asked(streams.used(self._connection.stream))

    def check(self) -> None:
        """Raise BrokerAway unless the broker is connected."""
        if not self._connection.is_connected:
            raise BrokerAway(f"{self._url} is not connected")

    def close(self) -> None:
        """Take no more messages, and let go of the broker after those that are being processed."""
        if self._ended:
            return
        self._ended = self._connection.ended = True
        with suppress(TimeoutError, NatsError):
            self._wait(self._end(), CALL)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL)
        if not self._thread.is_alive():
            self._loop.close()

    # -- in the thread of the loop ---------------------------------------------------------------

    async def _make_streams(self) -> None:
        for config in STREAMS:
            try:
                await self._make_stream(config.evolve(num_replicas=self._replicas))
            except NatsError as error:
                logger.warning("the stream %s is not made: %s", config.name, said(error))

    async def _make_stream(self, config: StreamConfig) -> None:
        try:
            await self._connection.stream.add_stream(config)
        except BadRequestError:  # there is one, of another configuration
            await self._connection.stream.update_stream(config)

    async def _pull(
        self,
        destination: str,
        group: str,
        process: Callable[[Delivery], Verdict],
        ready: Callable[[], None],
    ) -> None:
        failed = False
        while not self._ended:
            try:
                if failed:
                    await self._make_streams_again()
                await self._pull_from(destination, group, process, ready)
            except (Exception, asyncio.CancelledError) as error:
                # nats-py cancels what waits for a connection that it closes for good: this goes on.
                if self._ended:
                    raise
                logger.warning("%s cannot be consumed: %s", destination, said(error))
                failed = True

    async def _pull_from(
        self,
        destination: str,
        group: str,
        process: Callable[[Delivery], Verdict],
        ready: Callable[[], None],
    ) -> None:
        await self._until_connected()
        subscription = await self._subscribe(destination, group)
        while not self._ended:
            await self._until_ready(destination, ready)
            try:
                (message,) = await subscription.fetch(1, timeout=PULL)
            except TimeoutError:
                continue  # there was none
            self._processing.add(asyncio.current_task())
            try:
                await self._process(message, destination, process)
            finally:
                self._processing.discard(asyncio.current_task())

    async def _process(self, message: Any, destination: str, process: Callable[[Delivery], Verdict]) -> None:
        try:
            verdict = await asyncio.to_thread(process, _delivery(message, destination))
        except Exception:
            logger.exception("a message of %s was not processed, and comes again", destination)
            verdict = Again(FAILED)
        with suppress(NatsError, OSError, TimeoutError):  # it comes again
            await (message.nak(verdict.delay) if isinstance(verdict, Again) else message.ack_sync(CALL))

    async def _until_ready(self, destination: str, ready: Callable[[], None]) -> None:
        told = False
        while not self._ended:
            try:
                await asyncio.to_thread(ready)
            except Exception as error:
                if not told:
                    logger.warning("no message of %s is taken for now: %s", destination, said(error))
                told = True
                await asyncio.sleep(LOOK_EVERY)
            else:
                return

    async def _until_connected(self) -> None:
        while not (self._connection.is_connected or self._ended):
            await asyncio.sleep(0.1)

    async def _make_streams_again(self) -> None:
        await asyncio.sleep(1)
        if self._connection.is_connected:
            await self._make_streams()

    async def _subscribe(self, destination: str, group: str) -> Any:
        config = ConsumerConfig(
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT,
            max_deliver=-1,  # the consumer counts: the server would only stop delivering
            max_ack_pending=1000,
        )
        return await self._connection.stream.pull_subscribe(
            destination, durable=group, stream=STREAM, config=config
        )

    async def _end(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            if task not in self._processing:
                task.cancel()
        if self._processing:
            await asyncio.wait([task for task in self._processing if task], timeout=FINISH)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connection.close()
        # One that is just made again leaves tasks of its own, of which asyncio would complain.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    # -- between the threads ---------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        def begin() -> None:
            task = self._loop.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._loop.call_soon_threadsafe(begin)

    def _asked(self, question: Coroutine[Any, Any, T]) -> T:
        try:
            return self._wait(question, CALL + 1)
        except _AWAY as error:
            raise BrokerAway(f"{self._url} does not answer: {said(error)}") from error

    def _wait(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except TimeoutError:
            future.cancel()
            raise


def _delivery(message: Any, destination: str) -> Delivery:
    headers = dict(message.headers or {})
    known = message.metadata
    # Without an id it is known by its place in the stream.
    name = headers.get("Nats-Msg-Id") or f"{known.stream}.{known.sequence.stream}"
    return Delivery(name, destination, message.data, headers, known.num_delivered)
