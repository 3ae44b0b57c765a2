"""OTLP over gRPC.

Requests are taken as bytes and decoded here, so that a message that does not parse is the client's
INVALID_ARGUMENT and not an internal error of the server.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from dashcam.store.intake import RETRY_SECONDS, Intake, Refused
from dashcam.store.otlp import Malformed

_SERVICES = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
_THREADS = 4
_CALLS = 64


class OtlpGrpc:
    """The gRPC server. `port` is the one it got, also where 0 was asked for."""

    def __init__(self, intake: Intake, host: str, port: int, max_bytes: int) -> None:
        self._intake = intake
        self._server = grpc.server(
            ThreadPoolExecutor(_THREADS, thread_name_prefix="grpc"),
            handlers=[self._handler(signal, service) for signal, service in _SERVICES.items()],
            options=[
                ("grpc.max_receive_message_length", max_bytes),
                ("grpc.so_reuseport", 0),
                ("grpc.max_concurrent_streams", _CALLS),
            ],
            maximum_concurrent_rpcs=_CALLS,
        )
        address = f"[{host}]" if ":" in host else host
        self.port = self._server.add_insecure_port(f"{address}:{port}")

    def start(self) -> None:
        """Start to listen."""
        self._server.start()

    def stop(self, grace: float) -> None:
        """Take no more calls and wait up to `grace` seconds for those under way."""
        self._server.stop(grace).wait(grace + 1)

    def _handler(self, signal: str, service: str) -> grpc.GenericRpcHandler:
        def export(body: bytes, context: grpc.ServicerContext) -> Message:
            try:
                return self._intake.take(signal, "grpc", body)
            except Malformed as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            except Refused as refused:
                _refuse(context, refused)
            raise AssertionError("abort raises")

        method: grpc.RpcMethodHandler[bytes, Message] = grpc.unary_unary_rpc_method_handler(
            export, request_deserializer=None, response_serializer=lambda message: message.SerializeToString()
        )
        handler: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(service, {"Export": method})
        return handler


def _refuse(context: grpc.ServicerContext, refused: Refused) -> None:
    code = grpc.StatusCode.RESOURCE_EXHAUSTED if refused.overloaded else grpc.StatusCode.UNAVAILABLE
    details = Any()
    details.Pack(RetryInfo(retry_delay=Duration(seconds=RETRY_SECONDS)))
    number = Code.RESOURCE_EXHAUSTED if refused.overloaded else Code.UNAVAILABLE
    status = Status(code=number, message=refused.message, details=[details])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, refused.message)
