"""Several worker processes, one `/metrics`: right sums, process metrics for each, exemplars kept.

The Prometheus client's multiprocess mode loses exemplars, infos and process metrics. Here each worker
keeps its own registry and hands a snapshot to whoever connects to its Unix socket in a folder that the
workers of one service share. One of them owns the admin port (a file lock says which; when it ends, the
next one takes over) and merges: counters and histograms are summed, gauges as `schema.Metric.across`
says, `process_*` and `python_*` get a `worker` label.

A counter must not fall when a worker is replaced, or Prometheus takes it for a restart and counts all
again. So a worker that ends leaves its last snapshot behind, and the owner writes down what it saw at
each scrape, for a worker that is killed and for an owner that is.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import socket
import socketserver
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from prometheus_client.metrics_core import Metric

from observability import merging
from observability.merging import Snapshot, merge, plain
from observability.settings import SettingError

_logger = logging.getLogger(__name__)

ANSWER_WITHIN = 1.0
"""Seconds a worker may take to hand over its snapshot; after that its last one is used."""

TAKE_OVER_EVERY = 0.25
"""Seconds between two looks whether the owner of the admin port is gone."""


class Collector(Protocol):
    """What can be asked for its families: a registry, or several of them merged."""

    def collect(self) -> Iterable[Metric]: ...


class WorkerGroup:
    """One worker's part in the group of its service.

    `open_port(collector)` binds the admin port and serves the merged families on it; it answers the
    function that closes it. `folder` is where the group meets; `worker` names this one in labels.
    """

    def __init__(
        self, folder: Path, worker: str, own: Collector, open_port: Callable[[Collector], Callable[[], None]]
    ) -> None:
        self._folder = folder
        self._id = f"{worker}-{uuid.uuid4().hex[:8]}"
        self._worker = worker
        self._own = own
        self._open_port = open_port
        self._close_port: Callable[[], None] | None = None
        self._stopping = threading.Event()
        self._scraping = threading.Lock()
        private_folder(folder)
        self._lock = os.open(folder / "owner.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._server = _SnapshotServer(str(folder / f"{self._id}.sock"), self.snapshot)
        self._waiting: threading.Thread | None = None

    def start(self) -> None:
        """Join the group, and own the admin port when nobody does. Raises SettingError as AdminServer."""
        self._server.start()
        if not self._take_over():
            self._waiting = threading.Thread(target=self._wait_for_the_port, name="take-over", daemon=True)
            self._waiting.start()

    @property
    def owns_the_port(self) -> bool:
        """Whether this worker answers on the admin port."""
        return self._close_port is not None

    def snapshot(self) -> Snapshot:
        """This worker's families as plain data, with the name of the worker."""
        return [plain(family, self._worker) for family in self._own.collect()]

    def stop(self) -> None:
        """Leave the group: what was counted stays behind for the others."""
        self._stopping.set()
        _write(self._folder / f"{self._id}.last", self.snapshot())
        self._server.stop()
        if self._waiting is not None:
            self._waiting.join(2 * TAKE_OVER_EVERY)
        if self._close_port is not None:
            self._close_port()
        os.close(self._lock)
        if not list(self._folder.glob("*.sock")):
            shutil.rmtree(self._folder, ignore_errors=True)

    def collect(self) -> Iterable[Metric]:
        """The families of all workers, merged."""
        with self._scraping:
            alive, departed = self._gather()
        return merge([*alive.values(), departed])

    # -- owning the port --------------------------------------------------------------------------

    def _take_over(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        self._close_port = self._open_port(self)
        return True

    def _wait_for_the_port(self) -> None:
        while not self._stopping.wait(TAKE_OVER_EVERY):
            try:
                if self._take_over():
                    return
            except SettingError as error:
                fcntl.flock(self._lock, fcntl.LOCK_UN)
                _logger.error("the admin port cannot be taken over: %s", error)

    # -- gathering ----------------------------------------------------------------------------------

    def _gather(self) -> tuple[dict[str, Snapshot], Snapshot]:
        """The snapshot of each living worker, and the sum of those that are gone; written down too."""
        state = _read(self._folder / "state") or {"seen": {}, "departed": []}
        seen: dict[str, Snapshot] = state["seen"]
        departed: Snapshot = state["departed"]
        alive = {self._id: self.snapshot()}
        for path in self._folder.glob("*.sock"):
            name = path.stem
            if name != self._id and (answer := _ask(path, seen.get(name))) is not None:
                alive[name] = answer
        for name in {*seen, *(path.stem for path in self._folder.glob("*.last"))} - set(alive):
            last = self._folder / f"{name}.last"
            departed = merging.departed([departed, _read(last) or seen.get(name, [])])
            for left in (last, self._folder / f"{name}.sock"):
                left.unlink(missing_ok=True)
        _write(self._folder / "state", {"seen": alive, "departed": departed})
        return alive, departed


class _SnapshotServer:
    """Writes the snapshot to whoever connects to the Unix socket `path`."""

    def __init__(self, path: str, snapshot: Callable[[], Snapshot]) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(json.dumps(snapshot()).encode())

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                """An owner that ended while it asked is no news."""

        self._path = path
        self._server = Server(path, Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="snapshot", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(1.0)
        self._server.server_close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


def group_folder(run_dir: str | None) -> Path:
    """Where the workers of one service meet: they have the server's main process in common."""
    base = Path(run_dir) if run_dir else Path(tempfile.gettempdir())
    return base / f"dashcam-{os.getuid()}-{os.getppid()}"


def private_folder(folder: Path) -> None:
    """Make `folder` for this user alone. Raises SettingError where it is somebody else's."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.stat()
    except OSError as error:
        raise SettingError(f"DASHCAM_RUN_DIR: {folder} cannot be made: {error.strerror}") from None
    if about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise SettingError(
            f"DASHCAM_RUN_DIR: {folder} is not this user's alone; remove it or give another folder"
        )


def _ask(path: Path, last: Snapshot | None) -> Snapshot | None:
    """A living worker's snapshot; its last one when it is too busy to answer; None when it is gone."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_WITHIN)
        try:
            connection.connect(str(path))
        except TimeoutError:
            return last if last is not None else []
        except OSError:
            return None
        try:
            with connection.makefile("rb") as answer:
                found: Snapshot = json.loads(answer.read())
                return found
        except (OSError, ValueError):
            return last if last is not None else []


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _write(path: Path, content: Any) -> None:
    """Replace `path` at once, so that nobody reads half of it."""
    try:
        new = path.with_name(f"{path.name}.new")
        new.write_text(json.dumps(content))
        new.replace(path)
    except OSError as error:
        _logger.warning("%s could not be written: %s", path, error.strerror)
