"""OTLP over gRPC.

Requests are taken as bytes and decoded here, so that a message that does not parse is the client's
INVALID_ARGUMENT and not an internal error of the server.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from dashcam.store.intake import RETRY_SECONDS, Intake, Refused
from dashcam.store.otlp import Malformed, TooLarge

T = TypeVar("T")
Behavior = Callable[[Iterator[bytes], grpc.ServicerContext], Message]

SERVICES = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
_THREADS = 4
_CALLS = 256
"""Calls that are read or wait to be; one beyond is told at once to come again."""


_LATE = 0.05
"""Seconds before a call's deadline in which its end is taken for its sender's."""


class OtlpGrpc:
    """The gRPC server. `port` is the one it got, also where 0 was asked for."""

    def __init__(
        self, intake: Intake, host: str, port: int, max_bytes: int, signals: Iterable[str] = tuple(SERVICES)
    ) -> None:
        pool = _Pool(_THREADS, thread_name_prefix="grpc")
        self._server = grpc.server(
            pool,
            handlers=[
                _Export(intake, signals, pool, ThreadPoolExecutor(1, thread_name_prefix="grpc-refuse"))
            ],
            options=[
                ("grpc.max_receive_message_length", max_bytes),
                ("grpc.so_reuseport", 0),
                # A call that waits holds one window of its sender's bytes; windows that grow would be memory.
                ("grpc.http2.bdp_probe", 0),
            ],
        )
        address = f"[{host}]" if ":" in host else host
        self.port = self._server.add_insecure_port(f"{address}:{port}")

    def start(self) -> None:
        """Start to listen."""
        self._server.start()

    def stop(self, grace: float) -> None:
        """Take no more calls and wait up to `grace` seconds for those under way."""
        self._server.stop(grace).wait(grace + 1)


class _Pool(ThreadPoolExecutor):
    """Threads that know how many calls they were given and have not ended."""

    calls = 0
    _counting = threading.Lock()

    def submit(self, fn: Callable[..., T], /, *args: object, **kwargs: object) -> Future[T]:
        future = super().submit(fn, *args, **kwargs)
        self._count(1)
        future.add_done_callback(lambda _: self._count(-1))
        return future

    def _count(self, change: int) -> None:
        with self._counting:
            self.calls += change


class _Export(grpc.GenericRpcHandler):
    """`Export` of the services of `signals`.

    grpc's own `maximum_concurrent_rpcs` refuses without saying when to come again, so that exporters drop
    what they hold, and nobody counts it. Calls are streams of one message here, which are the same on the
    wire: a request that is refused need not be received, and one that was read need not be kept.
    """

    def __init__(
        self, intake: Intake, signals: Iterable[str], pool: _Pool, refusing: ThreadPoolExecutor
    ) -> None:
        self._pool = pool
        self._handlers = {}
        for signal in signals:
            export, turn_away = _exporting(intake, signal), _turning_away(intake, signal)
            # The threads of the pool may all wait for the database. Where grpc lost this attribute, a
            # refusal would wait for one of them.
            turn_away.experimental_thread_pool = refusing  # type: ignore[attr-defined]
            self._handlers[f"/{SERVICES[signal]}/Export"] = (_handler(export), _handler(turn_away))

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a call that begins; None for a method that does not exist."""
        both = self._handlers.get(details.method)
        return both and both[self._pool.calls >= _CALLS]


def _handler(behavior: Behavior) -> grpc.RpcMethodHandler[bytes, Message]:
    return grpc.stream_unary_rpc_method_handler(
        behavior, request_deserializer=None, response_serializer=lambda message: message.SerializeToString()
    )


def _exporting(intake: Intake, signal: str) -> Behavior:
    def export(messages: Iterator[bytes], context: grpc.ServicerContext) -> Message:
        body = _read(messages, context, intake, signal)  # which is let go of once it is decoded
        if not body:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the call has no message")
        try:
            return intake.take(signal, "grpc", body.pop)
        except Malformed as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except TooLarge as error:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except Refused as refused:
            _refuse(context, refused)
        raise AssertionError("abort raises")

    return export


def _read(
    messages: Iterator[bytes], context: grpc.ServicerContext, intake: Intake, signal: str
) -> list[bytes]:
    """The call's message, or none where it has none. Raises RpcError where the call ended before that.

    The transport refuses a message beyond its limit by itself, which looks here as if the sender had broken
    the call off. It does so only once the message is asked for, and a sender breaks off when its time is
    over: what ends in between, with time left, was too large and is counted so.
    """
    waited_for = context.is_active()
    try:
        return [*itertools.islice(messages, 1)]
    except grpc.RpcError:
        left = context.time_remaining()
        if waited_for and (left is None or left > _LATE):
            intake.count("grpc", signal, "too_large")
        raise


def _turning_away(intake: Intake, signal: str) -> Behavior:
    def turn_away(messages: Iterator[bytes], context: grpc.ServicerContext) -> Message:
        _refuse(context, intake.turn_away(signal, "grpc", f"{_CALLS} calls wait already"))
        raise AssertionError("abort raises")

    return turn_away


def _refuse(context: grpc.ServicerContext, refused: Refused) -> None:
    code = grpc.StatusCode.RESOURCE_EXHAUSTED if refused.overloaded else grpc.StatusCode.UNAVAILABLE
    details = any_pb2.Any()
    details.Pack(RetryInfo(retry_delay=Duration(seconds=RETRY_SECONDS)))
    number = Code.RESOURCE_EXHAUSTED if refused.overloaded else Code.UNAVAILABLE
    status = Status(code=number, message=refused.message, details=[details])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, refused.message)
