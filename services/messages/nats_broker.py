"""NATS JetStream: publishes with confirmation, delivers each message until it is acknowledged.

nats-py is asynchronous and a service is not: one thread runs its loop, and what is called here waits for
what happens there. The server may be away at any time, at the start too: the connection is made again for
ever, and streams and consumers that it has lost are made anew.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StreamConfig
from nats.js.errors import NotFoundError

from services.messages.consumer import KEY_HEADER
from services.messages.envelope import Again, BrokerAway, Delivery, Depth, Message, Verdict

logger = logging.getLogger(__name__)

T = TypeVar("T")

STREAM, DEAD_STREAM = "orders", "dead-letters"
MAX_BYTES = 64 * 1024 * 1024
"""Of a stream. A full one refuses messages, which wait in the outbox of who sends them."""
KEPT = 300.0
"""Seconds that a message waits for its consumer. Whoever asked asks again after that, and nothing older is
worth an answer: without an end, a consumer that is away would find every repetition of every question."""
DUPLICATES = 120.0
"""Seconds in which the server itself drops a message with an id that it has."""
ACK_WAIT = 30.0
"""Seconds after which a delivery that was not acknowledged is made again."""
CALL = 5.0
"""Seconds that a call of the broker may take."""
PULL = 5.0
"""Seconds that one request for a message waits at the server."""

STREAMS = (
    StreamConfig(
        name=STREAM,
        subjects=["orders.>"],
        retention=RetentionPolicy.WORK_QUEUE,
        discard=DiscardPolicy.NEW,
        max_bytes=MAX_BYTES,
        max_age=KEPT,
        duplicate_window=DUPLICATES,
    ),
    StreamConfig(
        name=DEAD_STREAM,
        subjects=["dead.>"],
        discard=DiscardPolicy.OLD,
        max_bytes=MAX_BYTES,
        max_age=7 * 24 * 3600.0,
        duplicate_window=DUPLICATES,
    ),
)


class Nats:
    """The broker at `url`, for the service `name`. `replicas` servers keep each message."""

    def __init__(self, url: str, name: str, replicas: int = 1) -> None:
        self._url, self._name, self._replicas = url, name, replicas
        self._connection = Client()
        self._stream = self._connection.jetstream(timeout=CALL)
        self._ended = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._thread.start()
        self._spawn(self._connect())

    def publish(self, message: Message, data: bytes) -> None:
        """Give a message to the broker; it has it when this returns. Raises BrokerAway."""
        headers = {**message.headers, "Nats-Msg-Id": message.id, KEY_HEADER: message.key}
        try:
            self._wait(
                self._stream.publish(message.destination, data, timeout=CALL, headers=headers), CALL + 1
            )
        except (NatsError, OSError, TimeoutError) as error:
            raise BrokerAway(f"{self._url} does not confirm {message.id}: {_said(error)}") from error

    def consume(self, destination: str, group: str, process: Callable[[Delivery], Verdict]) -> None:
        """Have `process` called with each message of a queue, one at a time, in a thread of its own."""
        self._spawn(self._pull(destination, group, process))

    def depth(self, destination: str, group: str) -> Depth:
        """What waits in a queue. Raises BrokerAway."""
        try:
            return self._wait(self._depth(destination, group), CALL + 1)
        except (NatsError, OSError, TimeoutError) as error:
            raise BrokerAway(f"{self._url} does not answer: {_said(error)}") from error

    def check(self) -> None:
        """Raise BrokerAway unless the broker is connected: a readiness check."""
        if not self._connection.is_connected:
            raise BrokerAway(f"{self._url} is not connected")

    def close(self) -> None:
        """Take no more messages, and let go of the broker."""
        self._ended = True
        with suppress(TimeoutError, NatsError):
            self._wait(self._end(), CALL)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL)
        if not self._thread.is_alive():
            self._loop.close()

    # -- in the thread of the loop ---------------------------------------------------------------

    async def _connect(self) -> None:
        await self._connection.connect(
            self._url,
            name=self._name,
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
        logger.info("connected to the broker at %s", self._url)
        await self._make_streams()

    async def _disconnected(self) -> None:
        if not self._ended:
            logger.warning("the broker at %s is gone", self._url)

    async def _failed(self, error: Exception) -> None:
        logger.debug("the broker: %s", error)

    async def _make_streams(self) -> None:
        for config in STREAMS:
            try:
                await self._stream.add_stream(config.evolve(num_replicas=self._replicas))
            except NatsError as error:
                logger.warning("the stream %s is not made: %s", config.name, _said(error))

    async def _pull(self, destination: str, group: str, process: Callable[[Delivery], Verdict]) -> None:
        subscription = None
        while not self._ended:
            try:
                if subscription is None:
                    await self._until_connected()
                    subscription = await self._subscribe(destination, group)
                (message,) = await subscription.fetch(1, timeout=PULL)
            except TimeoutError:
                continue  # there was none
            except Exception as error:
                if not self._ended:
                    logger.warning("%s cannot be consumed: %s", destination, _said(error))
                    subscription = None
                    await self._make_streams_again()
                continue
            verdict = await asyncio.to_thread(process, _delivery(message, destination))
            with suppress(NatsError, TimeoutError):  # it comes again
                await (message.nak(verdict.delay) if isinstance(verdict, Again) else message.ack_sync(CALL))

    async def _until_connected(self) -> None:
        while not self._connection.is_connected:
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
        return await self._stream.pull_subscribe(destination, durable=group, stream=STREAM, config=config)

    async def _depth(self, destination: str, group: str) -> Depth:
        info = await self._stream.consumer_info(STREAM, group)
        count = (info.num_pending or 0) + (info.num_ack_pending or 0)
        if not count:
            return Depth(0, 0.0)
        try:
            oldest = await self._stream.get_msg(STREAM, seq=1, subject=destination, next=True)
        except NotFoundError:
            return Depth(0, 0.0)
        return Depth(count, _age(oldest.time))

    async def _end(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._connection.is_connected:
            await self._connection.close()

    # -- between the threads ---------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        def begin() -> None:
            task = self._loop.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._loop.call_soon_threadsafe(begin)

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


def _age(then: Any) -> float:
    """Seconds since `then`, which nats-py leaves as the server's text."""
    if isinstance(then, str):
        # Nanoseconds are more than Python reads.
        then = datetime.datetime.fromisoformat(then.rstrip("Z")[:26]).replace(tzinfo=datetime.UTC)
    if not isinstance(then, datetime.datetime):
        return 0.0
    return max(0.0, (datetime.datetime.now(datetime.UTC) - then).total_seconds())


def _said(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
