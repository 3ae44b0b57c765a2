"""`python -m benchmarks.overhead.sink`: an OTLP/HTTP receiver that counts what arrives, and nothing else.

It prints its port, answers every POST of spans with success, and `GET /` with the number of spans so far,
by `service.name` or, where that says nothing, by the header `x-bench` that each variant sends.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def serve() -> None:
    """Count until it is killed."""
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/traces":
                message = ExportTraceServiceRequest.FromString(body)
                spans = sum(
                    len(scope.spans) for resource in message.resource_spans for scope in resource.scope_spans
                )
                with lock:
                    seen[self.headers.get("x-bench", "")] += spans
            self._answer(b"", "application/x-protobuf")

        def do_GET(self) -> None:
            with lock:
                self._answer(json.dumps(seen).encode(), "application/json")

        def _answer(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Silent: it shares the machine with what is measured."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve()
