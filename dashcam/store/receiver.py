"""The receiving process: `python -m dashcam.store.receiver`.

OTLP over gRPC and HTTP, the log tailer, and the one writer of the database. On SIGTERM or SIGINT it
stops to listen, writes what waits, and ends.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time

from dashcam.host_guard import HostGuard
from dashcam.store.cors import with_cors
from dashcam.store.http_server import HttpServer
from dashcam.store.intake import Intake
from dashcam.store.no_spans import SIGNALS, without_spans
from dashcam.store.otlp_grpc import SERVICES, OtlpGrpc
from dashcam.store.otlp_http import OtlpHttp
from dashcam.store.own_log import configure_logging
from dashcam.store.own_metrics import ReceiverMetrics
from dashcam.store.pushed_metrics import PushedMetrics
from dashcam.store.records import Batch
from dashcam.store.settings import MIB, LocalSettings
from dashcam.store.sqlite_file import StoreError
from dashcam.store.tail import Tailer
from dashcam.store.writer import Full, Unavailable, Unstorable, Writer
from observability.settings import SettingError, from_environ

log = logging.getLogger(__name__)

_HTTP_THREADS = 4
_GRACE_SECONDS = 3.0
_WATCH_SECONDS = 0.5


class TailThread:
    """Polls a Tailer and hands its lines to the writer."""

    def __init__(self, settings: LocalSettings, writer: Writer, metrics: ReceiverMetrics) -> None:
        self._tailer = Tailer(settings.log_dir, writer.tail_states(), settings.log_files)
        self._writer = writer
        self._metrics = metrics
        self._seconds = settings.tail_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tail", daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(_GRACE_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.poll()
            except (Full, Unavailable) as error:
                log.warning("log lines wait for the database: %s", error)
            except OSError as error:
                log.warning("a log file could not be read: %s", error)
            self._stopping.wait(self._seconds)
        self._tailer.close()

    def poll(self) -> None:
        """Store every complete line that the files hold now."""
        gone = self._tailer.refresh()
        if gone:
            self._store(Batch(tail=gone))
        self._metrics.tail_lag.set(self._tailer.lag)
        busy = self._tailer.services()
        while busy and not self._stopping.is_set():
            busy = [service for service in busy if self._step(service)]

    def _step(self, service: str) -> bool:
        try:
            piece = self._tailer.read(service, int(time.time() * 1_000_000))
        except OSError as error:  # of one file; the others are read
            log.warning("the log of %s could not be read: %s", service, error)
            return False
        if piece is None:
            return False
        try:
            self._store(Batch(logs=piece.rows, tail=piece.states))
        except Unstorable as error:
            # The same bytes would fail for ever, and keep every line behind them from being read.
            log.error("%d log lines of %s are left out: %s", len(piece.rows), service, error)
            self._metrics.records.labels("logs", "rejected").inc(len(piece.rows))
            self._store(Batch(tail=piece.states))
        self._tailer.advance(piece)
        return True

    def _store(self, batch: Batch) -> None:
        self._writer.wait(self._writer.submit(batch), timeout=60.0)


class Receiver:
    """Everything the process runs. `http_port` and `grpc_port` are the ports it got."""

    def __init__(self, settings: LocalSettings) -> None:
        self.metrics = ReceiverMetrics()
        self._writer = Writer(settings, self.metrics)
        self._tail = TailThread(settings, self._writer, self.metrics)
        pushed = PushedMetrics(
            settings.metrics_max_series,
            settings.metrics_expire_seconds,
            settings.promoted_attributes,
            settings.translate_conventions,
        )
        intake = Intake(self._writer, self.metrics, pushed)
        max_bytes = settings.max_request_mib * MIB
        application = OtlpHttp(intake, self.metrics, pushed, max_bytes, self._complaint)
        otlp = with_cors(application, settings.cors_origins)
        signals = SERVICES if settings.takes_spans else SIGNALS
        self._grpc = OtlpGrpc(intake, settings.host, settings.otlp_grpc_port, max_bytes, signals)
        self._http = HttpServer(
            HostGuard(
                otlp if settings.takes_spans else without_spans(otlp),
                settings.host,
                settings.allowed_hosts,
            ),
            host=settings.host,
            port=settings.otlp_http_port,
            threads=_HTTP_THREADS,
            # The application refuses with OTLP's own answer; the server's limit only guards its buffers.
            max_body=max_bytes + MIB,
        )
        self.grpc_port = self._grpc.port
        self.http_port = self._http.port

    def start(self) -> None:
        """Start to listen and to tail."""
        self._writer.start()
        self._tail.start()
        self._grpc.start()
        self._http.start()

    def stop(self) -> None:
        """Stop listening, then write what waits."""
        self._grpc.stop(_GRACE_SECONDS)
        self._http.stop(_GRACE_SECONDS)
        self._tail.stop()
        self._writer.stop()

    def dead_part(self) -> str | None:
        """The thread that has ended though nobody asked it to, or None."""
        alive = {"writer": self._writer.alive, "tail": self._tail.alive, "http": self._http.alive}
        return next((name for name, lives in alive.items() if not lives), None)

    def _complaint(self) -> str | None:
        if not self._writer.alive:
            return "the database writer does not run"
        if self._writer.complaint:
            return self._writer.complaint
        if not self._tail.alive:
            return "the log tailer does not run"
        return None


def main() -> int:
    """Run until a signal; 2 for a setting, port or database that cannot be used."""
    configure_logging("receiver")
    try:
        settings = from_environ(LocalSettings)
        receiver = Receiver(settings)
    except (SettingError, StoreError, OSError, RuntimeError) as error:
        print(f"receiver: {error}", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    receiver.start()
    log.info("OTLP gRPC on port %d, HTTP on port %d", receiver.grpc_port, receiver.http_port)
    while not stop.wait(_WATCH_SECONDS):
        if dead := receiver.dead_part():
            # Half a receiver looks well from outside; a new one is up in a second.
            log.critical("the %s thread has ended: the receiver ends with it", dead)
            return 1
    receiver.stop()
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # a grpc thread that hangs must not keep the process
