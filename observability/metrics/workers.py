"""Several worker processes, one `/metrics`: right sums, process metrics for each, exemplars kept.

The Prometheus client's multiprocess mode loses exemplars, infos and process metrics. Here each worker
keeps its own registry and hands a snapshot to whoever connects to its Unix socket in a folder that the
workers of one service share. One of them owns the admin port (a file lock says which; when it ends, the
next one takes over) and merges: counters and histograms are summed, gauges as `schema.Metric.across`
says, `process_*` and `python_*` get a `worker` label.

A counter must not fall when a worker is replaced, or Prometheus takes it for a restart and counts all
again. So a worker that ends leaves its last snapshot behind, and the owner writes down what it saw at
each scrape, for a worker that is killed and for an owner that is.

A process seldom knows whether it is one of several: servers fork before or after they load the application,
and a reloader starts it twice. So every process of a service joins a group, and its own families get their
`worker` label once there is another. A forked process joins as one more, with nothing counted.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry

from observability.metrics import after_fork
from observability.metrics.exposition import Source
from observability.metrics.handover import Departed, SnapshotServer, alive, read, replace
from observability.metrics.merging import Merger
from observability.metrics.registry_reader import RegistryReader
from observability.metrics.snapshot import EMPTY, Layout, Snapshot, encode
from observability.settings import SettingError

_logger = logging.getLogger(__name__)

TAKE_OVER_EVERY = 0.25
"""Seconds between two looks whether the owner of the admin port is gone."""


class WorkerGroup:
    """One worker's part in the group of its service.

    `open_port(source)` binds the admin port and serves the merged families on it; it answers the
    function that closes it. `folder` is where the group meets; `worker` names this one in labels.
    """

    def __init__(
        self,
        folder: Path,
        worker: str,
        registries: Sequence[CollectorRegistry],
        open_port: Callable[[Source], Callable[[], None]],
        *,
        several: bool = True,
    ) -> None:
        self._folder = folder
        self._registries = registries
        self._worker = worker
        self._several = several
        self._open_port = open_port
        self._close_port: Callable[[], None] | None = None
        self._join()

    def _join(self) -> None:
        worker, folder = self._worker, self._folder
        self._id = f"{worker}-{uuid.uuid4().hex[:8]}"
        self._own = RegistryReader(*self._registries, worker=worker if self._several else None)
        self._own_layout = (EMPTY.layout, EMPTY.layout.encoded())
        self._writing = threading.Lock()
        self._merger = Merger()
        self._layouts: dict[str, Layout] = {}
        self._departed = Departed(folder / "departed")
        self._left = False
        self._stopping = threading.Event()
        self._scraping = threading.Lock()
        private_folder(folder)
        self._lock = os.open(folder / "owner.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._server = SnapshotServer(folder / f"{self._id}.sock", self.write)
        self._waiting: threading.Thread | None = None

    def start(self) -> None:
        """Join the group, and own the admin port when nobody does. Raises SettingError as AdminServer."""
        self._server.start()
        try:
            owns = self._take_over()
        except SettingError:
            self._leave()
            raise
        if not owns:
            self._own.label(self._worker)
            self._waiting = threading.Thread(target=self._wait_for_the_port, name="take-over", daemon=True)
            self._waiting.start()

    def before_fork(self) -> None:
        """Let no snapshot be taken while the process is copied."""
        self._scraping.acquire()
        self._writing.acquire()

    def after_fork(self) -> None:
        """Go on in the process that forked."""
        self._writing.release()
        self._scraping.release()

    def rejoin(self) -> None:
        """Join as one more, in a process that was forked: with a name and threads of its own."""
        self._server.forget()
        os.close(self._lock)  # the parent's file stays locked, for the parent has it open
        after_fork.reset(self._registries)
        self._worker, self._several, self._close_port = str(os.getpid()), True, None
        self._join()
        self.start()

    @property
    def owns_the_port(self) -> bool:
        """Whether this worker answers on the admin port."""
        return self._close_port is not None

    def write(self) -> Snapshot:
        """Leave this worker's snapshot in the folder, for the owner and for after its end; answer it."""
        with self._writing:
            snapshot = self._own.read()
            if self._own_layout[0] is not snapshot.layout:
                self._own_layout = (snapshot.layout, snapshot.layout.encoded())
            replace(self._folder / f"{self._id}.snapshot", encode(snapshot, self._own_layout[1]))
        return snapshot

    def stop(self) -> None:
        """Leave the group: what was counted stays behind for the others."""
        if self._left:
            return
        self._stopping.set()
        self.write()
        if self._waiting is not None:
            self._waiting.join(2 * TAKE_OVER_EVERY)
        if self._close_port is not None:
            self._close_port()
        self._leave()

    def _leave(self) -> None:
        self._left = True
        self._server.stop()
        os.close(self._lock)
        if not list(self._folder.glob("*.sock")):
            shutil.rmtree(self._folder, ignore_errors=True)

    def snapshot(self) -> Snapshot:
        """The families of all workers, merged."""
        with self._scraping:
            return self._merger.merge(self._gather())

    # -- owning the port --------------------------------------------------------------------------

    def _take_over(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        self._close_port = self._open_port(self)
        if not alive([path for path in self._folder.glob("*.sock") if path.stem != self._id]):
            self._clear()
        return True

    def _clear(self) -> None:
        """Nobody else is here: what a group before this one left behind is not this one's."""
        if not self._several:
            for path in [*self._folder.glob("*.snapshot"), self._folder / "departed"]:
                path.unlink(missing_ok=True)

    def _wait_for_the_port(self) -> None:
        while not self._stopping.wait(TAKE_OVER_EVERY):
            try:
                if self._take_over():
                    return
            except SettingError as error:
                fcntl.flock(self._lock, fcntl.LOCK_UN)
                _logger.error("the admin port cannot be taken over: %s", error)

    # -- gathering ----------------------------------------------------------------------------------

    def _gather(self) -> list[Snapshot]:
        """The snapshot of each living worker, and the sum of those that are gone."""
        others = [path for path in self._folder.glob("*.sock") if path.stem != self._id]
        living = {path.stem for path in alive(others)}
        if living:
            self._own.label(self._worker)
        found = {self._id: self.write()}
        gone: dict[str, Snapshot | None] = {}
        for path in self._folder.glob("*.snapshot"):
            if path.stem in living:
                if (last := read(path, self._layouts)) is not None:
                    found[path.stem] = last
            elif path.stem != self._id:
                gone[path.stem] = read(path, self._layouts)
        departed = self._departed.add(gone)
        for path in others:
            if path.stem not in living:
                path.unlink(missing_ok=True)
        self._layouts = {snapshot.layout.id: snapshot.layout for snapshot in found.values()}
        return [*(found[name] for name in sorted(found)), departed]


def group_folder(run_dir: str | None, common: str | None = None) -> Path:
    """Where the workers of one service meet, by what they have in common: by default the main process."""
    base = Path(run_dir) if run_dir else Path(tempfile.gettempdir())
    which = os.getppid() if common is None else hashlib.sha256(common.encode()).hexdigest()[:8]
    return base / f"dashcam-{os.getuid()}-{which}"


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
