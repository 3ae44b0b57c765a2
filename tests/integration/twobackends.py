"""The embedded backend and a real Jaeger beside each other: the same bytes into both, the same questions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import yaml
from flask import Flask
from integration.pipeline import Running

from dashcam.stack.ports import free_ports
from dashcam.store.query import create_app
from dashcam.store.receiver import Receiver
from dashcam.store.settings import LocalSettings

Answer = tuple[int, Any]
"""The status, and the JSON of the body, or its text where it is none."""

OTLP = {"content-type": "application/x-protobuf"}


@dataclass
class Both:
    """Where each takes OTLP, and who is asked."""

    receivers: tuple[str, str]
    jaeger: httpx.Client
    app: Flask
    """The embedded query service."""

    def send(self, body: bytes) -> None:
        """An OTLP request into both. Both have stored it when they answer: Jaeger in memory, unbatched."""
        for address in self.receivers:
            self.jaeger.post(f"{address}/v1/traces", content=body, headers=OTLP).raise_for_status()

    def ask(self, path: str, params: Mapping[str, Any] | None = None) -> tuple[Answer, Answer]:
        """(what Jaeger answers, what the embedded backend answers)."""
        query = urlencode(params or {}, doseq=True)
        real = self.jaeger.get(f"{path}?{query}" if query else path)
        own = self.app.test_client().get(path, query_string=query)
        return _answer(real.status_code, real.content), _answer(own.status_code, own.data)


@contextmanager
def both(folder: Path, program: str) -> Iterator[Both]:
    """Start them on free ports, and stop them. `program` is Jaeger's."""
    query, otlp, health = free_ports(3)
    config = folder / "jaeger.yaml"
    config.write_text(yaml.safe_dump(_configuration(query, otlp, health)))
    ready = f"http://127.0.0.1:{health}/status"
    jaeger = Running("jaeger", [program, f"--config={config}"], {}, ready, folder / "jaeger.log")
    settings = LocalSettings(state_dir=folder, otlp_grpc_port=0, otlp_http_port=0)
    receiver = Receiver(settings)
    with httpx.Client(base_url=f"http://127.0.0.1:{query}", timeout=30) as client:
        try:
            receiver.start()
            jaeger.start()
            yield Both(
                (f"http://127.0.0.1:{otlp}", f"http://127.0.0.1:{receiver.http_port}"),
                client,
                create_app(settings),
            )
        finally:
            jaeger.kill()  # all that it holds is in memory; its orderly end takes ten seconds
            receiver.stop()


def _configuration(query: int, otlp: int, health: int) -> dict[str, Any]:
    def at(port: int) -> dict[str, str]:
        return {"endpoint": f"127.0.0.1:{port}"}

    return {
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query", "healthcheckv2"],
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
        "extensions": {
            "healthcheckv2": {"use_v2": True, "http": at(health)},
            "jaeger_query": {"storage": {"traces": "memory"}, "http": at(query), "grpc": at(0)},
            "jaeger_storage": {"backends": {"memory": {"memory": {"max_traces": 100_000}}}},
        },
        "receivers": {"otlp": {"protocols": {"http": at(otlp)}}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
    }


def _answer(status: int, body: bytes) -> Answer:
    try:
        return status, json.loads(body)
    except ValueError:
        return status, body.decode(errors="replace")
