"""A receiver on free ports, with a client for each of its doors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from dashcam.store import sqlite_file
from dashcam.store.receiver import Receiver
from dashcam.store.settings import LocalSettings

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}


class Receiving:
    """Runs a receiver; `http` and `traces` ask it."""

    def __init__(self, folder: Path, **overrides: Any) -> None:
        self.settings = LocalSettings(state_dir=folder, otlp_grpc_port=0, otlp_http_port=0, **overrides)
        self.receiver = Receiver(self.settings)
        self.receiver.start()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.receiver.http_port}", timeout=20)
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.receiver.grpc_port}")
        self.traces = TraceServiceStub(self.channel)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self.channel.close()
        self.http.close()
        self.receiver.stop()

    def stored(self, table: str = "span_block") -> int:
        """Records in the database."""
        with closing(sqlite_file.open_reader(self.settings.database)) as db:
            return int(db.execute(f"SELECT coalesce(sum(n), 0) FROM {table}").fetchone()[0])

    def counted(self, name: str, **labels: str) -> float:
        """A figure of the receiver's own metrics."""
        return self.receiver.metrics.registry.get_sample_value(name, labels) or 0.0

    @contextmanager
    def stuck_database(self) -> Iterator[None]:
        """No transaction ends until the block does."""
        writer = self.receiver._writer
        gate, original = threading.Event(), writer._store

        def held(tickets: Any) -> None:
            gate.wait(30)
            original(tickets)

        writer._store = held  # type: ignore[method-assign]
        try:
            yield
        finally:
            gate.set()
            writer._store = original  # type: ignore[method-assign]
